"""SQS calls: each entry has its own outcome, and errors say what to do."""

import asyncio
from typing import Any, cast

import aiohttp
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from notification_api import PermanentError, TransientError
from services.common.aws import task_queue
from services.common.aws.task_queue import (
    MessageTooLarge,
    OutgoingMessage,
    QueueAnswerLost,
    QueueRefused,
    QueueUnavailable,
    ReceiptExpired,
    TaskQueue,
    Visibility,
)
from services.common.batcher import Batcher, BatchPolicy, BatchRefusedError

URL = "http://queue"
MESSAGES = [OutgoingMessage(body=f"body {number}", attributes={}) for number in range(3)]


class FakeSqs:
    """Answers every call with `answer`, or raises `error`, or never answers."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.hangs = False
        self.requests: list[dict[str, Any]] = []

    async def _call(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.answer

    send_message_batch = receive_message = delete_message_batch = change_message_visibility_batch = _call
    get_queue_attributes = _call


@pytest.fixture
def sqs() -> FakeSqs:
    return FakeSqs()


@pytest.fixture
def queue(sqs: FakeSqs) -> TaskQueue:
    return TaskQueue(cast("Any", sqs), URL)


def failed(entry_id: str, code: str, *, sender_fault: bool) -> dict[str, Any]:
    return {"Id": entry_id, "Code": code, "SenderFault": sender_fault, "Message": "m"}


async def test_outcomes_are_in_the_order_of_the_entries(queue: TaskQueue, sqs: FakeSqs) -> None:
    sqs.answer = {
        "Successful": [{"Id": "2"}, {"Id": "0"}],
        "Failed": [failed("1", "InternalError", sender_fault=False)],
    }
    outcomes = await queue.send(MESSAGES)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], QueueUnavailable)
    assert outcomes[2] is None


async def test_an_entry_that_is_named_neither_way_has_failed(queue: TaskQueue, sqs: FakeSqs) -> None:
    sqs.answer = {"Successful": [{"Id": "0"}]}
    assert [type(outcome) for outcome in await queue.send(MESSAGES)] == [type(None), *[QueueAnswerLost] * 2]
    sqs.answer = {}
    assert [type(outcome) for outcome in await queue.delete(["a"])] == [QueueAnswerLost]


@pytest.mark.parametrize(
    ("code", "sender_fault", "kind"),
    [
        ("InternalError", False, QueueUnavailable),
        ("RequestThrottled", False, QueueUnavailable),
        ("InvalidMessageContents", True, QueueRefused),
        ("InvalidParameterValue", True, QueueRefused),
    ],
)
async def test_permanent_and_transient_failures_of_a_message_differ(
    queue: TaskQueue, sqs: FakeSqs, code: str, sender_fault: bool, kind: type[Exception]
) -> None:
    sqs.answer = {"Failed": [failed("0", code, sender_fault=sender_fault)]}
    assert [type(outcome) for outcome in await queue.send(MESSAGES[:1])] == [kind]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ReceiptHandleIsInvalid", ReceiptExpired),
        ("MessageNotInflight", ReceiptExpired),
        ("InvalidParameterValue", ReceiptExpired),
        ("SomethingElse", QueueRefused),
    ],
)
async def test_a_receipt_that_is_over_is_a_lost_lease(
    queue: TaskQueue, sqs: FakeSqs, code: str, kind: type[Exception]
) -> None:
    sqs.answer = {"Failed": [failed("0", code, sender_fault=True)]}
    assert [type(outcome) for outcome in await queue.delete(["receipt"])] == [kind]
    assert [type(outcome) for outcome in await queue.change_visibility([Visibility("receipt", 5)])] == [kind]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "RequestThrottled", "Message": "slow down"}}, "SendMessageBatch"),
        ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "SendMessageBatch"),
        ClientError({}, "SendMessageBatch"),
        EndpointConnectionError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        ResponseParserError("<html>Bad Gateway"),
        aiohttp.ClientPayloadError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_failures_of_a_call_are_transient(queue: TaskQueue, sqs: FakeSqs, error: Exception) -> None:
    sqs.error = error
    calls = [
        queue.send(MESSAGES),
        queue.receive(1, 1, 30),
        queue.delete(["a"]),
        queue.change_visibility([Visibility("a", 0)]),
        queue.attributes("ApproximateNumberOfMessages"),
    ]
    for call in calls:
        with pytest.raises(QueueUnavailable) as caught:
            await call
        assert isinstance(caught.value, TransientError)
        assert URL not in caught.value.public_detail


TOO_LONG = "Batch requests cannot be longer than 262144 bytes. You have sent 492271 bytes."
TOO_LARGE = "One or more parameters are invalid. Reason: Message must be shorter than 2048 bytes."


def refused(code: str, message: str = "m", status: int = 400) -> ClientError:
    about: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(about, "SendMessageBatch")


@pytest.mark.parametrize(
    ("error", "kind", "limit"),
    [
        (refused("AWS.SimpleQueueService.BatchRequestTooLong", TOO_LONG), MessageTooLarge, 262_144),
        (refused("BatchRequestTooLong", TOO_LONG), MessageTooLarge, 262_144),
        (refused("com.amazonaws.sqs#BatchRequestTooLong"), MessageTooLarge, None),
        (refused("413", "Request Entity Too Large", 413), MessageTooLarge, None),
        (refused("InvalidParameterValue", TOO_LARGE), MessageTooLarge, 2_048),
        (refused("InvalidParameterValue"), QueueRefused, None),
        (refused("InvalidMessageContents"), QueueRefused, None),
    ],
    ids=str,
)
async def test_a_call_that_is_refused_for_its_contents_is_a_permanent_error(
    queue: TaskQueue, sqs: FakeSqs, error: ClientError, kind: type[QueueRefused], limit: int | None
) -> None:
    sqs.error = error
    with pytest.raises(BatchRefusedError) as caught:
        await queue.send(MESSAGES)
    assert type(caught.value.error) is kind
    (outcome,) = await queue.send(MESSAGES[:1])
    assert type(outcome) is kind
    assert getattr(outcome, "limit_bytes", None) == limit
    assert queue.limit.message_bytes == limit
    for call in (
        queue.delete(["a"]),
        queue.change_visibility([Visibility("a", 0)]),
    ):  # their entries have no size limit
        with pytest.raises(QueueUnavailable):
            await call


async def test_a_message_above_the_queues_limit_has_its_own_error(queue: TaskQueue, sqs: FakeSqs) -> None:
    entries = [failed(str(number), "InvalidParameterValue", sender_fault=True) for number in range(2)]
    entries[1]["Message"] = TOO_LARGE
    sqs.answer = {"Failed": entries, "Successful": [{"Id": "2"}]}
    other, too_large, taken = await queue.send(MESSAGES)
    assert (type(other), type(too_large), taken) == (QueueRefused, MessageTooLarge, None)
    assert (queue.limit.message_bytes, queue.limit.batch_bytes) == (2_048, 1_966)


async def test_a_batch_of_many_that_is_refused_leaves_each_entry_its_own_outcome(
    queue: TaskQueue, sqs: FakeSqs
) -> None:
    """The whole way through the batcher, with SQS' own error."""

    async def send_message_batch(**request: Any) -> dict[str, Any]:
        sqs.requests.append(request)
        if any("poison" in entry["MessageBody"] for entry in request["Entries"]):
            raise refused("InvalidMessageContents")
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    sqs.send_message_batch = send_message_batch  # type: ignore[method-assign]
    batcher = Batcher(queue.send, BatchPolicy())
    bodies = ["first", *("poison" if number == 4 else f"body {number}" for number in range(10))]
    messages = [OutgoingMessage(body=body, attributes={}) for body in bodies]
    outcomes = await asyncio.gather(*map(batcher.submit, messages), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 5, QueueRefused, *[type(None)] * 5]
    taken = [entry["MessageBody"] for request in sqs.requests for entry in request["Entries"]]
    assert all(taken.count(body) == 1 for body in bodies if len(body) == 5)
    assert len(sqs.requests) <= 10


@pytest.mark.parametrize("size", ["1024", "262144", "1048576"])
async def test_the_queues_limit_is_read(queue: TaskQueue, sqs: FakeSqs, size: str) -> None:
    sqs.answer = {"Attributes": {"MaximumMessageSize": size}}
    assert await queue.read_limit()
    assert queue.limit.message_bytes == int(size)
    assert sqs.requests[0]["AttributeNames"] == ["MaximumMessageSize"]


@pytest.mark.parametrize("size", [None, "", "0", "-1", "abc", "9" * 30])
async def test_a_limit_that_cannot_be_one_is_unknown(queue: TaskQueue, sqs: FakeSqs, size: str | None) -> None:
    sqs.answer = {"Attributes": {} if size is None else {"MaximumMessageSize": size}}
    assert await queue.read_limit()
    assert queue.limit.message_bytes is None


async def test_a_limit_that_may_not_be_read_is_not_asked_for_again(queue: TaskQueue, sqs: FakeSqs) -> None:
    sqs.error = refused("AccessDenied", status=403)
    assert [await queue.read_limit() for _ in range(3)] == [True] * 3
    assert len(sqs.requests) == 1
    sqs.error = refused("BatchRequestTooLong", TOO_LONG)
    await queue.send(MESSAGES[:1])
    assert queue.limit.message_bytes == 262_144


@pytest.mark.parametrize("error", [refused("RequestThrottled", status=403), ConnectionResetError()], ids=str)
async def test_a_limit_that_cannot_be_read_for_now_is_asked_for_again(
    queue: TaskQueue, sqs: FakeSqs, error: Exception
) -> None:
    sqs.error = error
    assert [await queue.read_limit() for _ in range(3)] == [False] * 3
    assert len(sqs.requests) == 3


def answered(status: int) -> ClientError:
    about: Any = {"Error": {"Code": "code"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(about, "SendMessageBatch")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered(400), QueueUnavailable),
        (answered(403), QueueUnavailable),
        (answered(500), QueueAnswerLost),
        (answered(503), QueueAnswerLost),
        (ClientError({}, "SendMessageBatch"), QueueAnswerLost),
        (ReadTimeoutError(endpoint_url=URL), QueueAnswerLost),
        (ResponseParserError("<html>Bad Gateway"), QueueAnswerLost),
        (UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "a page"), QueueAnswerLost),
        (ConnectionResetError(), QueueAnswerLost),
        (TimeoutError(), QueueAnswerLost),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_lost_answer_differs_from_a_refusal(
    queue: TaskQueue, sqs: FakeSqs, error: Exception, kind: type[Exception]
) -> None:
    sqs.error = error
    with pytest.raises(QueueUnavailable) as caught:
        await queue.send(MESSAGES)
    assert type(caught.value) is kind


async def test_a_call_that_is_never_answered_ends_at_its_deadline(
    queue: TaskQueue, sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "CALL_SECONDS", 0.01)
    sqs.hangs = True
    with pytest.raises(QueueUnavailable, match="no response within"):
        await queue.receive(1, 0, 30)


async def test_a_cancelled_call_is_cancelled(queue: TaskQueue, sqs: FakeSqs) -> None:
    sqs.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.send(MESSAGES)


def calls(operation: str, outcome: str) -> float:
    labels = {"operation": operation, "outcome": outcome}
    return REGISTRY.get_sample_value("notification_api_sqs_calls_total", labels) or 0.0


async def test_calls_are_counted_by_outcome(queue: TaskQueue, sqs: FakeSqs) -> None:
    ok, error = calls("send", "ok"), calls("send", "error")
    await queue.send(MESSAGES)
    sqs.error = ConnectionResetError()
    with pytest.raises(QueueUnavailable):
        await queue.send(MESSAGES)
    assert (calls("send", "ok"), calls("send", "error")) == (ok + 1, error + 1)


async def test_a_call_that_is_refused_for_its_contents_is_no_error_of_sqs(queue: TaskQueue, sqs: FakeSqs) -> None:
    before, error = calls("send", "refused"), calls("send", "error")
    sqs.error = refused("BatchRequestTooLong", TOO_LONG)
    await queue.send(MESSAGES[:1])
    assert (calls("send", "refused"), calls("send", "error")) == (before + 1, error)


async def test_a_message_travels_with_its_attributes_and_its_users_group(queue: TaskQueue, sqs: FakeSqs) -> None:
    await queue.send([OutgoingMessage(body="b", attributes={"taskId": "t"}, group_id="alice"), MESSAGES[0]])
    first, second = sqs.requests[0]["Entries"]
    assert first == {
        "Id": "0",
        "MessageBody": "b",
        "MessageAttributes": {"taskId": {"DataType": "String", "StringValue": "t"}},
        "MessageGroupId": "alice",
    }
    assert "MessageGroupId" not in second


async def test_only_a_delayed_message_has_a_delay(queue: TaskQueue, sqs: FakeSqs) -> None:
    await queue.send([OutgoingMessage(body="b", attributes={}, group_id="alice", delay_seconds=900), MESSAGES[0]])
    first, second = sqs.requests[0]["Entries"]
    assert (first["DelaySeconds"], first["MessageGroupId"]) == (900, "alice")
    assert "DelaySeconds" not in second


async def test_a_body_of_bytes_travels_as_text(queue: TaskQueue, sqs: FakeSqs) -> None:
    await queue.send([OutgoingMessage(body="größer 👍🏽".encode(), attributes={})])
    assert sqs.requests[0]["Entries"][0]["MessageBody"] == "größer 👍🏽"


async def test_a_received_message_is_read_whole(queue: TaskQueue, sqs: FakeSqs) -> None:
    sqs.answer = {
        "Messages": [
            {
                "MessageId": "m",
                "ReceiptHandle": "r",
                "Body": "b",
                "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "17", "MessageGroupId": "alice"},
                "MessageAttributes": {
                    "taskId": {"DataType": "String", "StringValue": "t"},
                    "junk": {"DataType": "Binary", "BinaryValue": b"\x00"},
                },
            },
            {"MessageId": "m2", "ReceiptHandle": "r2", "Body": "b2"},
        ]
    }
    first, second = await queue.receive(10, 20, 30)
    assert (first.receive_count, first.sent_ms, first.group_id) == (3, 17, "alice")
    assert first.attributes == {"taskId": "t"}  # another producer's binary attribute is no reason to fail
    assert (second.receive_count, second.sent_ms, second.group_id, second.attributes) == (1, 0, None, {})
    assert sqs.requests[0]["MaxNumberOfMessages"] == 10
    assert sqs.requests[0]["WaitTimeSeconds"] == 20
    assert sqs.requests[0]["VisibilityTimeout"] == 30


async def test_an_empty_answer_is_no_message(queue: TaskQueue) -> None:
    assert await queue.receive(10, 0, 30) == []


@given(st.text(st.characters(exclude_categories=["Cs"])), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_the_size_counts_bytes_of_body_and_attributes(body: str, attributes: dict[str, str]) -> None:
    plain = {name: value for name, value in attributes.items() if name.isascii() and value.isascii()}
    size = OutgoingMessage(body=body, attributes=plain).size()
    assert size == OutgoingMessage(body=body.encode(), attributes=plain).size()
    assert size == len(body.encode()) + sum(len(name) + 6 + len(value) for name, value in plain.items())


def test_errors_say_what_to_do() -> None:
    assert issubclass(QueueUnavailable, TransientError)
    assert issubclass(QueueRefused, PermanentError)
    assert issubclass(MessageTooLarge, QueueRefused)
    assert issubclass(ReceiptExpired, PermanentError)
