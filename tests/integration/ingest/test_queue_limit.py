"""The ingest service on a queue with a lower size limit than its own: only bodies that are too large get 413."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from services.ingest.app import QUEUE
from services.ingest.sending import RESERVED_BYTES
from tests.support.served_app import Answer, Served
from tests.support.served_service import PAGE, StartIngest, id_token
from tests.support.sqs_fault_proxy import SqsFaultProxy
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

SEND, READ = "SendMessageBatch", "GetQueueAttributes"
LIMIT = 262_144


@pytest.fixture
async def queue_url(sqs: "SQSClient") -> str:
    return (await sqs.create_queue(QueueName="tasks", Attributes={"MaximumMessageSize": str(LIMIT)}))["QueueUrl"]


@pytest.fixture
async def service(start_ingest: StartIngest) -> AsyncIterator[Served]:
    """A service that has read the queue's limit."""
    async with start_ingest() as service:
        await wait_until(lambda: service.app[QUEUE].limit.message_bytes == LIMIT)
        yield service


@pytest.fixture
async def unaware(start_ingest: StartIngest, proxy: SqsFaultProxy) -> AsyncIterator[Served]:
    """A service that may not read the queue's limit."""
    fault = proxy.fault(action=READ, status=403, code="AccessDenied")
    async with start_ingest() as service:
        await wait_until(lambda: fault.hits == 1)
        yield service


async def post(service: Served, data: str, **headers: str) -> Answer:
    sent = {
        "Authorization": f"Bearer {id_token(now=time.time())}",
        "Content-Type": "application/json",
        "Origin": PAGE,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await service.ask("POST", "/task", data=json.dumps({"data": data}).encode(), headers=sent)


async def payloads(sqs: "SQSClient", url: str) -> list[str]:
    """The data of all messages on the queue."""
    found: list[str] = []
    while answer := (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)).get("Messages"):
        found += [json.loads(json.loads(message["Body"])["payload"])["data"] for message in answer]
    return found


def is_refused(answer: Answer) -> bool:
    if answer.status == 202:
        return False
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert f"accepts at most {LIMIT}" in answer.json["detail"]
    assert "Send less data" in answer.json["detail"]
    return True


TOO_LARGE = [
    pytest.param("x" * 262_050, id="plain"),
    pytest.param('"' * 100_000, id="quotes"),  # 200 kB of JSON, 400 kB on the queue
    pytest.param("x" + "\n" * 100_000, id="line breaks"),
    pytest.param("\x00" * 40_000, id="control characters"),
]


@pytest.mark.parametrize("data", TOO_LARGE)
async def test_a_body_beyond_the_queues_limit_is_413_before_it_is_sent(
    service: Served, proxy: SqsFaultProxy, data: str
) -> None:
    assert is_refused(await post(service, data))
    assert proxy.calls[SEND] == 0


@pytest.mark.parametrize("data", TOO_LARGE[1:])
async def test_a_body_that_the_queue_refuses_is_413_where_its_limit_may_not_be_read(unaware: Served, data: str) -> None:
    assert is_refused(await post(unaware, data))


async def test_a_limit_that_was_learned_from_a_refusal_saves_the_next_call(
    unaware: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    assert is_refused(await post(unaware, '"' * 100_000))
    assert is_refused(await post(unaware, '"' * 100_000))
    assert not is_refused(await post(unaware, "x"))
    assert (proxy.calls[SEND], proxy.calls[READ]) == (2, 1)
    assert await payloads(sqs, queue_url) == ["x"]


async def test_a_body_that_just_fits_is_accepted(service: Served, sqs: "SQSClient", queue_url: str) -> None:
    data = "x" * (LIMIT - RESERVED_BYTES - 300)
    assert (await post(service, data)).status == 202
    assert await payloads(sqs, queue_url) == [data]


def is_above(limit: int) -> Callable[[dict[str, Any]], bool]:
    return lambda request: sum(len(entry["MessageBody"]) for entry in request["Entries"]) > limit


REFUSED_WHOLE = [
    pytest.param({"code": "BatchRequestTooLong"}, id="too long"),
    pytest.param({"code": "AWS.SimpleQueueService.BatchRequestTooLong"}, id="too long, query protocol"),
    pytest.param({"code": "InvalidParameterValue"}, id="invalid"),
]


@pytest.mark.parametrize("error", REFUSED_WHOLE)
async def test_a_batch_that_is_too_large_as_a_whole_fails_no_task(
    unaware: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str, error: dict[str, str]
) -> None:
    """MiniStack has no limit for a batch but 1 MiB: the proxy answers as SQS does."""
    proxy.fault(action=SEND, delay_seconds=0.2, calls=1)
    proxy.fault(action=SEND, status=400, whole=is_above(LIMIT), **error)
    texts = [f"{number} {'x' * 90_000}" for number in range(10)]
    answers = await asyncio.gather(*(post(unaware, text) for text in texts))
    assert [answer.status for answer in answers] == [202] * 10
    assert sorted(await payloads(sqs, queue_url)) == sorted(texts)
    assert max(proxy.batch_sizes[SEND]) > 2


async def test_a_task_that_is_too_large_does_not_fail_others_of_its_batch(
    unaware: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    proxy.fault(action=SEND, delay_seconds=0.2, calls=1)
    proxy.fault(action=SEND, status=400, code="BatchRequestTooLong", whole=is_above(LIMIT))
    texts = [f"{number} x" for number in range(10)]
    *answers, large = await asyncio.gather(*(post(unaware, text) for text in texts), post(unaware, '"' * 100_000))
    assert large.status == 413
    assert [answer.status for answer in answers] == [202] * 10
    assert sorted(await payloads(sqs, queue_url)) == texts


async def test_batches_stay_below_a_limit_that_is_known(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    refusals = proxy.fault(action=SEND, status=400, code="BatchRequestTooLong", whole=is_above(LIMIT))
    texts = [f"{number} {'x' * 60_000}" for number in range(24)]
    answers = await asyncio.gather(*(post(service, text) for text in texts))
    assert [answer.status for answer in answers] == [202] * 24
    assert sorted(await payloads(sqs, queue_url)) == sorted(texts)
    assert refusals.hits == 0


async def test_a_refused_body_does_not_reserve_its_key(unaware: Served) -> None:
    assert is_refused(await post(unaware, '"' * 100_000, Idempotency_Key="key-1"))
    assert (await post(unaware, "less", Idempotency_Key="key-1")).status == 202


async def test_a_service_that_cannot_read_the_limit_yet_is_ready_and_reads_it_later(
    start_ingest: StartIngest, proxy: SqsFaultProxy
) -> None:
    fault = proxy.fault(action=READ, status=503, code="ServiceUnavailable", calls=2)
    async with start_ingest() as service:
        assert (await post(service, "x")).status == 202
        await wait_until(lambda: service.app[QUEUE].limit.message_bytes == LIMIT)
    assert fault.hits == 2
