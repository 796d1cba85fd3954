"""The fault proxy of the queue tests, with a real queue server and the real SDK."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy, throttled

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

SESSION = get_session()  # shared, since it caches the parsed service models


@pytest.fixture
async def proxy(aws: MiniStack) -> AsyncIterator[SqsFaultProxy]:
    async with sqs_fault_proxy(aws.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
async def sqs(aws: MiniStack, proxy: SqsFaultProxy) -> AsyncIterator["SQSClient"]:
    settings = aws.client_settings(new_account_id())
    settings["endpoint_url"] = proxy.url
    config = AioConfig(read_timeout=2, retries={"total_max_attempts": 1, "mode": "standard"})
    async with SESSION.create_client("sqs", config=config, **settings) as client:
        yield client


@pytest.fixture
async def url(sqs: "SQSClient") -> str:
    return (await sqs.create_queue(QueueName="tasks"))["QueueUrl"]


def entries(count: int) -> Any:
    return [{"Id": str(number), "MessageBody": f"body {number}"} for number in range(count)]


async def waiting(sqs: "SQSClient", url: str) -> int:
    names: Any = ["ApproximateNumberOfMessages"]
    answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


async def test_without_faults_every_call_is_forwarded_and_counted(
    sqs: "SQSClient", url: str, proxy: SqsFaultProxy
) -> None:
    await sqs.send_message_batch(QueueUrl=url, Entries=entries(3))
    received = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    assert sorted(message["Body"] for message in received["Messages"]) == ["body 0", "body 1", "body 2"]
    assert proxy.calls == {"CreateQueue": 1, "SendMessageBatch": 1, "ReceiveMessage": 1}
    assert proxy.batch_sizes == {"SendMessageBatch": [3]}


async def test_an_error_applies_to_a_number_of_calls_of_its_action(
    sqs: "SQSClient", url: str, proxy: SqsFaultProxy
) -> None:
    fault = proxy.fault(action="SendMessageBatch", status=503, code="ServiceUnavailable", calls=1)
    with pytest.raises(ClientError, match="ServiceUnavailable") as caught:
        await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    assert fault.hits == 1
    assert await waiting(sqs, url) == 1


async def test_throttling_is_answered_as_sqs_does(sqs: "SQSClient", url: str, proxy: SqsFaultProxy) -> None:
    proxy.faults.append(throttled(calls=1))
    with pytest.raises(ClientError, match="RequestThrottled"):
        await sqs.receive_message(QueueUrl=url)


@pytest.mark.parametrize(("after_effect", "sent"), [(False, 0), (True, 1)])
async def test_a_reset_breaks_the_connection_before_or_after_the_effect(
    sqs: "SQSClient", url: str, proxy: SqsFaultProxy, after_effect: bool, sent: int
) -> None:
    proxy.fault(action="SendMessageBatch", reset=True, calls=1, after_effect=after_effect)
    with pytest.raises(BotoCoreError):
        await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    assert await waiting(sqs, url) == sent


async def test_a_call_can_have_no_answer(sqs: "SQSClient", url: str, proxy: SqsFaultProxy) -> None:
    proxy.fault(action="SendMessageBatch", never_answer=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    proxy.heal()
    await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    assert await waiting(sqs, url) == 1


@pytest.mark.parametrize(("after_effect", "sent"), [(False, 2), (True, 3)])
async def test_single_entries_fail(
    sqs: "SQSClient", url: str, proxy: SqsFaultProxy, after_effect: bool, sent: int
) -> None:
    proxy.fault(fails=lambda entry: entry["Id"] == "1", sender_fault=True, code="X", calls=1, after_effect=after_effect)
    answer = await sqs.send_message_batch(QueueUrl=url, Entries=entries(3))
    assert [entry["Id"] for entry in answer["Successful"]] == ["0", "2"]
    assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]] == [("1", "X", True)]
    assert await waiting(sqs, url) == sent


async def test_every_entry_fails_without_a_call(sqs: "SQSClient", url: str, proxy: SqsFaultProxy) -> None:
    proxy.fault(fails=lambda entry: True, calls=1)
    answer = await sqs.send_message_batch(QueueUrl=url, Entries=entries(2))
    assert answer["Successful"] == []
    assert len(answer["Failed"]) == 2
    assert await waiting(sqs, url) == 0


async def test_the_server_stops_and_starts_on_the_same_port(sqs: "SQSClient", url: str, proxy: SqsFaultProxy) -> None:
    await proxy.stop()
    with pytest.raises(BotoCoreError):
        await sqs.receive_message(QueueUrl=url)
    await proxy.start()
    await sqs.send_message_batch(QueueUrl=url, Entries=entries(1))
    assert await waiting(sqs, url) == 1
