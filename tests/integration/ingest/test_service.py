"""The ingest service on a real queue server, with faults between the two."""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from services.common.aws import task_queue
from services.ingest.app import SENDER
from tests.support.log_lines import task_lines
from tests.support.served_app import Answer, Served, log_lines
from tests.support.served_service import PAGE, StartIngest, id_token
from tests.support.sqs_fault_proxy import SqsFaultProxy, throttled
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

SEND = "SendMessageBatch"


@pytest.fixture
async def service(start_ingest: StartIngest) -> AsyncIterator[Served]:
    async with start_ingest() as service:
        yield service


async def post(service: Served, body: Any = b'{"data": "x"}', user_id: str = "alice", **headers: str | None) -> Answer:
    """POST /task; a header given as None is omitted, underscores mean hyphens."""
    sent = {
        "Authorization": f"Bearer {id_token(user_id, now=time.time())}",
        "Content-Type": "application/json",
        "Origin": PAGE,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    kept = {name: value for name, value in sent.items() if value is not None}
    skip = [] if "Content-Type" in kept else ["Content-Type"]
    return await service.ask("POST", "/task", data=body, headers=kept, skip_auto_headers=skip)


async def messages(sqs: "SQSClient", url: str) -> list[Any]:
    """Receive and delete all messages on the queue."""
    found: list[Any] = []
    while True:
        answer = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        if not answer.get("Messages"):
            return found
        found += answer["Messages"]


def counter(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"notification_api_tasks_{name}_total", labels) or 0.0


async def test_an_accepted_task_is_on_the_queue_unchanged(service: Served, sqs: "SQSClient", queue_url: str) -> None:
    before = counter("accepted")
    body = '{ "data": "größer 👍🏽\\uffff\uffff", "more": [1, 2] }'
    answer = await post(service, body.encode())
    assert answer.status == 202
    assert list(answer.json) == ["taskId"]
    (message,) = await messages(sqs, queue_url)
    assert json.loads(message["Body"]) == {"userId": "alice", "payload": body}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes.pop("taskId") == answer.json["taskId"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", attributes.pop("traceparent"))
    assert attributes == {}
    assert message["Attributes"]["MessageGroupId"] == "alice"
    assert counter("accepted") == before + 1


@pytest.mark.parametrize("data", ["7", "0", "false", '{"x": [1, null]}', "[]", "{}", '" x "'])
async def test_data_may_be_any_json_but_null_and_blank_text(
    service: Served, sqs: "SQSClient", queue_url: str, data: str
) -> None:
    body = f'{{"data": {data}}}'
    assert (await post(service, body.encode())).status == 202
    (message,) = await messages(sqs, queue_url)
    assert json.loads(message["Body"])["payload"] == body


async def test_the_location_of_a_task_is_readable_by_pages(service: Served) -> None:
    answer = await post(service)
    assert answer.headers["Location"] == f"/task/{answer.json['taskId']}"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert UUID(answer.json["taskId"]).version == 7
    assert UUID((await post(service, Idempotency_Key="key-1")).json["taskId"]).version == 5


async def test_options_of_a_task_become_attributes(service: Served, sqs: "SQSClient", queue_url: str) -> None:
    body = b'{"data": 1, "type": "report", "delaySeconds": 1, "ttlSeconds": 60}'
    before_ms = time.time_ns() // 1_000_000
    assert (await post(service, body)).status == 202
    after_ms = time.time_ns() // 1_000_000
    assert await messages(sqs, queue_url) == []  # it is delayed
    found: list[Any] = []

    async def arrived() -> bool:
        found.extend(await messages(sqs, queue_url))
        return bool(found)

    await wait_until(arrived)
    attributes = {name: value["StringValue"] for name, value in found[0]["MessageAttributes"].items()}
    assert (attributes["type"], attributes["delaySeconds"]) == ("report", "1")
    assert before_ms + 61_000 <= int(attributes["expiresAt"]) <= after_ms + 61_000
    assert json.loads(found[0]["Body"])["payload"] == body.decode()


async def test_options_with_default_values_need_no_attribute(service: Served, sqs: "SQSClient", queue_url: str) -> None:
    assert (await post(service, b'{"data": 1, "type": "default", "delaySeconds": 0}')).status == 202
    (message,) = await messages(sqs, queue_url)
    assert set(message["MessageAttributes"]) == {"taskId", "traceparent"}


@pytest.mark.parametrize("options", ['"delaySeconds": 900', '"ttlSeconds": 1', '"ttlSeconds": 86400'])
async def test_the_limits_of_the_options_are_accepted(service: Served, options: str) -> None:
    assert (await post(service, f'{{"data": 1, {options}}}'.encode())).status == 202


async def test_with_a_list_of_types_others_are_refused(start_ingest: StartIngest, proxy: SqsFaultProxy) -> None:
    async with start_ingest(TASK_TYPES="report, export") as service:
        for body in (b'{"data": 1}', b'{"data": 1, "type": "Report"}'):
            answer = await post(service, body)
            assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
            assert "Set `type` to one of: report, export." in answer.json["detail"]
        assert proxy.calls[SEND] == 0
        assert (await post(service, b'{"data": 1, "type": "export"}')).status == 202


async def test_the_same_key_with_other_options_is_refused(service: Served) -> None:
    assert (await post(service, b'{"data": 1, "ttlSeconds": 60}', Idempotency_Key="key-1")).status == 202
    assert (await post(service, b'{"data": 1, "ttlSeconds": 61}', Idempotency_Key="key-1")).status == 422
    assert (await post(service, b'{"data": 1, "ttlSeconds": 60}', Idempotency_Key="key-1")).status == 202


BAD_BODIES = [
    pytest.param(b"", {}, 400, "The body is not JSON", id="empty"),
    pytest.param(b"hello", {}, 400, "The body is not JSON", id="no JSON"),
    pytest.param(b'{"data": "x"', {}, 400, "The body is not JSON", id="cut off"),
    pytest.param(b"{'data': 'x'}", {}, 400, "The body is not JSON", id="another language"),
    pytest.param(b'{"data": NaN}', {}, 400, "The body is not JSON", id="NaN"),
    pytest.param(b'{"data": "\xff"}', {}, 400, "The body is not JSON", id="not UTF-8"),
    pytest.param('{"data": "x"}'.encode("utf-16"), {}, 400, "The body is not JSON", id="UTF-16"),
    pytest.param(b'{"data": "\\ud800"}', {}, 400, "The body is not JSON", id="lone surrogate"),
    pytest.param(b"[" * 100_000, {}, 400, "The body is not JSON", id="deeply nested"),
    pytest.param(b'{"a":' * 40_000, {}, 400, "The body is not JSON", id="deeply nested objects"),
    pytest.param(b'{"data": "x", "n": 18446744073709551616}', {}, 400, "number 18446744073709551616 ", id="65 bits"),
    pytest.param(b'{"data": "x", "n": [[-9223372036854775809]]}', {}, 400, "Send it as a string", id="negative"),
    pytest.param(b'{"data": "x", "n": ' + b"9" * 200_000 + b"}", {}, 400, "Send it as a string", id="200,000 digits"),
    pytest.param(b'{"data": "x", "n": 1e400}', {}, 400, "number 1e400 is too large", id="beyond a float"),
    pytest.param(
        b'{"data": "x", "n": ' + b"[" * 1_020 + b"9" * 20 + b"]" * 1_020 + b"}", {}, 400, "Send", id="deep and long"
    ),
    pytest.param(b"null", {}, 400, "not a JSON object", id="null"),
    pytest.param(b'["data"]', {}, 400, "not a JSON object", id="a list"),
    pytest.param(b'"data"', {}, 400, "not a JSON object", id="a text"),
    pytest.param(b"{}", {}, 400, "`data` must be text", id="no data"),
    pytest.param(b'{"Data": "x"}', {}, 400, "`data` must be text", id="data in capitals"),
    pytest.param(b'{"data": null}', {}, 400, "`data` must be text", id="null data"),
    pytest.param(b'{"data": " \\n"}', {}, 400, "`data` must be text", id="blank data"),
    pytest.param(b'{"data": ""}', {}, 400, "`data` must be text", id="empty data"),
    *(
        pytest.param(f'{{"data": 1, "{name}": {value}}}'.encode(), {}, 400, f"`{name}` must be", id=f"{name} {value}")
        for name, values in (
            ("type", ["null", "7", '""', '"."', '"re port"', f'"{"x" * 65}"', '"größe"', '["report"]']),
            ("delaySeconds", ["null", "-1", "901", "1.5", "60.0", '"60"', "true", "1e2", "[]"]),
            ("ttlSeconds", ["null", "0", "-1", "86401", "1.5", '"60"', "true"]),
        )
        for value in values
    ),
    pytest.param(b'{"data":"' + b"x" * 262_144 + b'"}', {}, 413, "larger than this service accepts", id="too large"),
    pytest.param(b'{"data": "x"}', {"Content_Type": "text/plain"}, 415, "application/json", id="text/plain"),
    pytest.param(b'{"data": "x"}', {"Content_Type": None}, 415, "application/json", id="no content type"),
    pytest.param(
        b"data=x", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "application/json", id="a form"
    ),
    pytest.param(b'{"data": "x"}', {"Content_Type": "application/json; charset=latin-1"}, 415, "UTF-8", id="latin-1"),
    pytest.param(b'{"data": "x"}', {"Content_Encoding": "gzip"}, 415, "Content-Encoding", id="said to be gzip"),
]


@pytest.mark.parametrize(("body", "headers", "status", "detail"), BAD_BODIES)
async def test_a_body_that_is_no_task_is_refused_with_a_correction(
    service: Served,
    proxy: SqsFaultProxy,
    body: bytes,
    headers: dict[str, Any],
    status: int,
    detail: str,
) -> None:
    answer = await post(service, body, **headers)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert detail in answer.json["detail"]
    assert proxy.calls[SEND] == 0


async def test_numbers_that_are_represented_exactly_are_accepted(
    service: Served, sqs: "SQSClient", queue_url: str
) -> None:
    numbers = "[18446744073709551615, -9223372036854775808, -0, 1e22, 0.12345678901234567890123]"
    text = '"123456789012345678901234567890"'
    body = f'{{"data": {text}, "n": {numbers}, "{"9" * 30}": {text}}}'
    assert (await post(service, body.encode())).status == 202
    (message,) = await messages(sqs, queue_url)
    assert json.loads(message["Body"])["payload"] == body


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON"])
async def test_json_in_utf8_is_accepted(service: Served, content_type: str) -> None:
    assert (await post(service, Content_Type=content_type)).status == 202


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # aiohttp's, above 1 MiB
async def test_a_body_of_exactly_the_permitted_size_is_accepted(
    service: Served, sqs: "SQSClient", queue_url: str
) -> None:
    body = b'{"data":"' + b'\\"' * 131_066 + b'"}'  # every character is escaped again on the queue
    assert 262_140 <= len(body) <= 262_144
    assert (await post(service, body)).status == 202
    (message,) = await messages(sqs, queue_url)
    assert json.loads(message["Body"])["payload"] == body.decode()


async def test_an_aborted_upload_does_not_count_as_an_error(
    service: Served, proxy: SqsFaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = id_token(now=time.time())
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        b"Authorization: Bearer " + token.encode() + b'\r\n\r\n{"data": "half'
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await wait_until(lambda: any(record.message == "request" for record in caplog.records))
    (line,) = [record for record in caplog.records if record.message == "request"]
    assert line.status == 400  # type: ignore[attr-defined]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert proxy.calls[SEND] == 0


async def test_a_stalled_upload_is_408_and_does_not_count_as_an_error(
    start_ingest: StartIngest, proxy: SqsFaultProxy
) -> None:
    async with start_ingest(REQUEST_TIMEOUT_SECONDS="0.3") as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(
            b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            b"Authorization: Bearer "
            + id_token(now=time.time()).encode()
            + f'\r\nOrigin: {PAGE}\r\n\r\n{{"data": "half'.encode()
        )
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
        await writer.wait_closed()
    assert head.startswith("HTTP/1.1 408 ")
    assert f"Access-Control-Allow-Origin: {PAGE}" in head
    assert "Content-Type: application/problem+json" in head
    assert proxy.calls[SEND] == 0


@pytest.mark.parametrize("expect", ["foo", "100-continue"])
async def test_a_task_with_an_expect_header_is_accepted(service: Served, expect: str) -> None:
    assert (await post(service, Expect=expect)).status == 202


async def test_input_that_is_not_http_is_refused_without_a_request(service: Served, proxy: SqsFaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        b"Origin: " + PAGE.encode() + b"\r\n"
        b"Authorization: Bearer " + id_token(now=time.time()).encode() + b"\r\n\r\nzz\r\n"
    )
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\nContent-Type: application/problem+json")
    assert f"Access-Control-Allow-Origin: {PAGE}".encode() in answer
    assert proxy.calls[SEND] == 0


async def test_the_same_key_gives_the_same_id_and_marks_the_message(
    service: Served, sqs: "SQSClient", queue_url: str
) -> None:
    first, again = [await post(service, Idempotency_Key="key-1") for _ in range(2)]
    another_users = await post(service, Idempotency_Key="key-1", user_id="bob")
    other = await post(service, Idempotency_Key="key-2")
    assert first.json == again.json
    assert len({first.json["taskId"], another_users.json["taskId"], other.json["taskId"]}) == 3
    found = await messages(sqs, queue_url)
    assert {message["MessageAttributes"]["idempotent"]["StringValue"] for message in found} == {"true"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel"])
async def test_a_malformed_idempotency_key_is_refused(service: Served, proxy: SqsFaultProxy, key: str) -> None:
    answer = await post(service, Idempotency_Key=key)
    assert answer.status == 400
    assert "Idempotency-Key must be" in answer.json["detail"]
    assert proxy.calls[SEND] == 0


async def test_a_key_with_another_body_is_refused_and_nothing_of_it_is_sent(
    service: Served, sqs: "SQSClient", queue_url: str
) -> None:
    before = counter("refused", reason="key_reused")
    first = await post(service, b'{"data": "x"}', Idempotency_Key="key-1")
    other = await post(service, b'{"data": "y"}', Idempotency_Key="key-1")
    assert (other.status, other.headers["Content-Type"]) == (422, "application/problem+json")
    assert other.headers["Access-Control-Allow-Origin"] == PAGE
    assert "use a new key" in other.json["detail"]
    assert (await post(service, b'{"data": "y"}', Idempotency_Key="key-1", user_id="bob")).status == 202
    again = await post(service, b'{"data": "x"}', Idempotency_Key="key-1")
    assert (again.status, again.json) == (202, first.json)
    bodies = [json.loads(message["Body"]) for message in await messages(sqs, queue_url)]
    assert sorted(body["userId"] for body in bodies) == ["alice", "alice", "bob"]
    assert {body["payload"] for body in bodies if body["userId"] == "alice"} == {'{"data": "x"}'}
    assert counter("refused", reason="key_reused") == before + 1


async def test_a_key_is_reserved_while_its_first_body_is_being_sent(service: Served, proxy: SqsFaultProxy) -> None:
    fault = proxy.fault(action=SEND, delay_seconds=0.3, calls=1)
    first = asyncio.create_task(post(service, b'{"data": "x"}', Idempotency_Key="key-1"))
    await wait_until(lambda: fault.hits == 1)
    assert (await post(service, b'{"data": "y"}', Idempotency_Key="key-1")).status == 422
    same = await post(service, b'{"data": "x"}', Idempotency_Key="key-1")
    assert (same.status, same.json) == (202, (await first).json)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param({"status": 403, "code": "RequestThrottled"}, 202, id="throttled"),
        pytest.param({"fails": lambda entry: True}, 202, id="every entry fails"),
        pytest.param({"status": 503, "code": "ServiceUnavailable"}, 422, id="503"),
        pytest.param({"reset": True}, 422, id="reset"),
    ],
)
async def test_a_body_that_sqs_did_not_take_does_not_block_a_corrected_one(
    service: Served, proxy: SqsFaultProxy, fault: dict[str, Any], status: int
) -> None:
    """If the response was lost the task may be on the queue, so the key remains reserved for it."""
    proxy.fault(action=SEND, **fault)
    assert (await post(service, b'{"data": "wrong"}', Idempotency_Key="key-1")).status == 503
    proxy.heal()
    assert (await post(service, b'{"data": "right"}', Idempotency_Key="key-1")).status == status
    assert (await post(service, b'{"data": "wrong"}', Idempotency_Key="key-1")).status == (
        422 if status == 202 else 202
    )


@pytest.mark.parametrize("second", ["key-1", "key-2", ""])
async def test_two_idempotency_keys_are_refused(service: Served, proxy: SqsFaultProxy, second: str) -> None:
    headers = [
        ("Authorization", f"Bearer {id_token(now=time.time())}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "key-1"),
        ("Idempotency-Key", second),
    ]
    answer = await service.ask("POST", "/task", data=b'{"data": "x"}', headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert "2 Idempotency-Key headers. Send one." in answer.json["detail"]
    assert proxy.calls[SEND] == 0


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, True),
        (TRACE.upper(), False),
        (TRACE + "-x", False),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", False),
        ("junk", False),
    ],
)
async def test_a_callers_trace_is_continued_or_a_new_one_started(
    service: Served, sqs: "SQSClient", queue_url: str, given: str, kept: bool
) -> None:
    await post(service, traceparent=given)
    (message,) = await messages(sqs, queue_url)
    sent = message["MessageAttributes"]["traceparent"]["StringValue"]
    assert (sent == given) is kept
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", sent)


async def test_202_waits_for_the_queues_acknowledgement(service: Served, proxy: SqsFaultProxy) -> None:
    fault = proxy.fault(action=SEND, delay_seconds=0.3)
    posting = asyncio.create_task(post(service))
    await wait_until(lambda: fault.hits == 1)
    assert not posting.done()
    assert (await posting).status == 202


FOR_NOW = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503, "code": "ServiceUnavailable"}, id="503"),
    pytest.param({"status": 403, "code": "RequestThrottled"}, id="throttled"),
    pytest.param({"reset": True}, id="reset"),
    pytest.param({"fails": lambda entry: True}, id="every entry fails"),
    pytest.param({"never_answer": True}, id="no answer"),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the deadlines of calls."""
    monkeypatch.setattr(task_queue, "CALL_SECONDS", 1.0)


@pytest.mark.parametrize("fault", FOR_NOW)
@pytest.mark.usefixtures("impatient")
async def test_a_transient_fault_is_not_visible_to_the_client(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str, fault: dict[str, Any]
) -> None:
    proxy.fault(action=SEND, calls=2, **fault)
    answer = await post(service)
    assert answer.status == 202
    assert proxy.calls[SEND] == 3
    (message,) = await messages(sqs, queue_url)
    assert message["MessageAttributes"]["taskId"]["StringValue"] == answer.json["taskId"]


LOST_ANSWERS = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503, "code": "ServiceUnavailable"}, id="503"),
    pytest.param({"reset": True}, id="reset"),
    pytest.param({"never_answer": True}, id="no answer"),
]


def marks(message: Any) -> tuple[str, str | None]:
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    return attributes["taskId"], attributes.get("idempotent")


@pytest.mark.parametrize("fault", LOST_ANSWERS)
@pytest.mark.usefixtures("impatient")
async def test_a_task_that_is_sent_again_after_a_lost_answer_is_marked(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str, fault: dict[str, Any]
) -> None:
    proxy.fault(action=SEND, calls=1, after_effect=True, **fault)
    answer = await post(service)
    assert answer.status == 202
    task_id = answer.json["taskId"]
    assert [marks(message) for message in await messages(sqs, queue_url)] == [(task_id, None), (task_id, "true")]


@pytest.mark.parametrize(
    "fault", [{"status": 403, "code": "RequestThrottled"}, {"fails": lambda entry: True}], ids=["throttled", "failed"]
)
async def test_a_task_that_sqs_refused_transiently_is_sent_again_unchanged(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str, fault: dict[str, Any]
) -> None:
    proxy.fault(action=SEND, calls=2, **fault)
    answer = await post(service)
    assert [marks(message) for message in await messages(sqs, queue_url)] == [(answer.json["taskId"], None)]


@pytest.mark.parametrize("fault", FOR_NOW)
@pytest.mark.usefixtures("impatient")
async def test_a_lasting_fault_is_503_and_no_task_counts_as_accepted(
    service: Served, proxy: SqsFaultProxy, fault: dict[str, Any]
) -> None:
    accepted, refused = counter("accepted"), counter("refused", reason="queue")
    proxy.fault(action=SEND, **fault)
    answer = await post(service)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["detail"] == "The task queue is briefly unavailable. Try again."
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert (counter("accepted"), counter("refused", reason="queue")) == (accepted, refused + 1)


async def test_an_unavailable_queue_gives_503_until_it_is_available(service: Served, proxy: SqsFaultProxy) -> None:
    await proxy.stop()
    assert (await post(service)).status == 503
    await proxy.start()
    assert (await post(service)).status == 202


async def test_throttling_under_load_loses_nothing_that_was_accepted(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    proxy.faults.append(throttled(SEND, ratio=0.3))
    proxy.fault(action=SEND, ratio=0.2, fails=lambda entry: int(entry["Id"]) % 3 == 0)
    answers = await asyncio.gather(*(post(service, f'{{"data": "{number}"}}'.encode()) for number in range(60)))
    accepted = {answer.json["taskId"] for answer in answers if answer.status == 202}
    assert {answer.status for answer in answers} <= {202, 503}
    assert len(accepted) > 30
    sent = [message["MessageAttributes"]["taskId"]["StringValue"] for message in await messages(sqs, queue_url)]
    assert accepted <= set(sent)


async def test_a_refused_entry_fails_only_its_own_post(service: Served, proxy: SqsFaultProxy) -> None:
    proxy.fault(action=SEND, delay_seconds=0.2, calls=1)
    first = asyncio.create_task(post(service))
    await wait_until(lambda: proxy.calls[SEND] == 1)
    proxy.fault(
        action=SEND,
        fails=lambda entry: "poison" in entry["MessageBody"],
        code="InvalidMessageContents",
        sender_fault=True,
    )
    bodies = [b'{"data": "poison"}', *(b'{"data": "x"}' for _ in range(5))]
    poisoned, *others = await asyncio.gather(*(post(service, body) for body in bodies))
    assert poisoned.status == 500
    assert [answer.status for answer in others] == [202] * 5
    assert (await first).status == 202


async def test_concurrent_posts_share_calls(service: Served, proxy: SqsFaultProxy) -> None:
    proxy.fault(action=SEND, delay_seconds=0.1)
    answers = await asyncio.gather(*(post(service) for _ in range(60)))
    assert [answer.status for answer in answers] == [202] * 60
    assert proxy.calls[SEND] <= 20
    assert sum(proxy.batch_sizes[SEND]) == 60
    assert max(proxy.batch_sizes[SEND]) == 10


async def test_too_many_tasks_a_minute_are_429(start_ingest: StartIngest, proxy: SqsFaultProxy) -> None:
    before = counter("refused", reason="rate")
    async with start_ingest(TASKS_PER_MINUTE="2") as service:
        answers = [await post(service) for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]
        assert 29 <= int(answers[2].headers["Retry-After"]) <= 30
        assert "Retry-After" in answers[2].json["detail"]
        assert answers[2].headers["Access-Control-Allow-Origin"] == PAGE
        assert (await post(service, user_id="bob")).status == 202
    assert proxy.calls[SEND] == 3
    assert counter("refused", reason="rate") == before + 1


async def test_tasks_beyond_the_waiting_limit_are_503_at_once(service: Served, proxy: SqsFaultProxy) -> None:
    sender = service.app[SENDER]
    sender._policy = type(sender._policy)(max_in_flight=1, max_waiting=3)
    proxy.fault(action=SEND, delay_seconds=0.3)
    posting = [asyncio.create_task(post(service)) for _ in range(10)]
    answers = await asyncio.gather(*posting)
    assert sorted(answer.status for answer in answers) == [202] * 4 + [503] * 6
    (detail,) = {answer.json["detail"] for answer in answers if answer.status == 503}
    assert detail == "Too many tasks are being sent right now. Try again in a moment."
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 503} == {"1"}


async def test_a_client_that_hangs_up_loses_no_task(
    service: Served, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    before = counter("accepted")
    fault = proxy.fault(action=SEND, delay_seconds=0.1)
    posting = asyncio.create_task(post(service))
    await wait_until(lambda: fault.hits == 1)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    await wait_until(lambda: counter("accepted") == before + 1)
    assert len(await messages(sqs, queue_url)) == 1


async def test_a_task_that_is_not_sent_in_time_is_not_counted_as_accepted(
    start_ingest: StartIngest, proxy: SqsFaultProxy, sqs: "SQSClient", queue_url: str
) -> None:
    async with start_ingest(REQUEST_TIMEOUT_SECONDS="0.2") as service:
        sender = service.app[SENDER]
        sender._policy = type(sender._policy)(max_in_flight=1)
        before, refused = counter("accepted"), counter("refused", reason="timeout")
        proxy.fault(action=SEND, delay_seconds=0.5, calls=1)
        answers = await asyncio.gather(post(service), *(post(service) for _ in range(3)))
        assert [answer.status for answer in answers] == [503] * 4
        assert (counter("accepted"), counter("refused", reason="timeout")) == (before, refused + 4)
    assert len(await messages(sqs, queue_url)) == 1  # the one that was in flight; the others were never sent


async def test_a_drain_answers_requests_in_progress(start_ingest: StartIngest, proxy: SqsFaultProxy) -> None:
    async with AsyncExitStack() as opened:
        service = await opened.enter_async_context(start_ingest())
        fault = proxy.fault(action=SEND, delay_seconds=0.2)
        posting = asyncio.create_task(post(service))
        await wait_until(lambda: fault.hits == 1)
        service.lifecycle.stop()
        assert "draining" in service.lifecycle.readiness_problems()["service"]
        answer = await posting
        assert (answer.status, answer.headers["Connection"]) == (202, "close")


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, "Send the id token"),
        ("Bearer", "Send the id token"),
        ("Bearer a.b.c", "no well-formed id token"),
        ("Basic YTpi", "no well-formed id token"),
        ("Bearer " + "x" * 200_000, "no well-formed id token"),
    ],
    ids=["none", "empty", "junk", "basic", "200 kB"],
)
async def test_a_task_without_an_id_token_is_refused(
    service: Served, proxy: SqsFaultProxy, authorization: str | None, detail: str
) -> None:
    answer = await post(service, Authorization=authorization)
    assert answer.status == 401
    assert detail in answer.json["detail"]
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert proxy.calls[SEND] == 0


async def test_an_expired_token_of_the_user_is_refused(service: Served) -> None:
    expired = id_token(now=time.time(), exp=int(time.time()) - 1)
    answer = await post(service, Authorization=f"Bearer {expired}")
    assert (answer.status, "expired" in answer.json["detail"]) == (401, True)


async def test_logs_show_neither_token_nor_payload(service: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="services")
    token, secret = id_token(now=time.time()), "s3cr3t-payload"
    sending = partial(post, service, Authorization=f"Bearer {token}")
    for body in (f'{{"data": "{secret}"}}', f'{{"data": {secret}}}', f'["{secret}"]'):
        await sending(body.encode(), Idempotency_Key="key-s3cr3t")
    own_lines = log_lines([record for record in caplog.records if record.name.startswith("services.")])
    assert own_lines.count('"status":') == 3
    for hidden in (secret, token, token.split(".")[2], "key-s3cr3t"):
        assert hidden not in own_lines


async def test_an_accepted_task_has_one_line_with_the_ids_of_task_and_request(service: Served) -> None:
    with task_lines() as lines:
        answer = await post(service, X_Request_Id="request-1")
    (line,) = lines.ends(answer.json["taskId"])
    assert (line["level"], line["message"], line["outcome"]) == ("INFO", "task accepted", "accepted")
    assert line["requestId"] == answer.headers["X-Request-Id"] == "request-1"
    assert 0 < line["seconds"] < 15


async def test_a_task_that_the_queue_refuses_has_one_log_line(service: Served, proxy: SqsFaultProxy) -> None:
    proxy.fault(action=SEND, status=403, code="RequestThrottled")
    with task_lines() as lines:
        answer = await post(service, X_Request_Id="request-2")
    assert answer.status == 503
    (line,) = [one for text in lines.texts if (one := json.loads(text)).get("outcome")]
    assert (line["level"], line["message"]) == ("WARNING", "task refused")
    assert (line["outcome"], line["reason"], line["mayBeQueued"]) == ("refused", "queue", False)
    assert line["requestId"] == "request-2"
    assert line["taskId"]
