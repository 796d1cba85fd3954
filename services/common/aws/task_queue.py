"""The task queue: batch calls to SQS, with an outcome for each entry and translated errors."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import ClientError as HttpClientError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from services.common.aws.queue_errors import RECEIPT_CODES, call_error, entry_error, fault_of
from services.common.aws.queue_errors import MessageTooLarge as MessageTooLarge
from services.common.aws.queue_errors import QueueAccessDenied as QueueAccessDenied
from services.common.aws.queue_errors import QueueAnswerLost as QueueAnswerLost
from services.common.aws.queue_errors import QueueRefused as QueueRefused
from services.common.aws.queue_errors import QueueUnavailable as QueueUnavailable
from services.common.aws.queue_errors import ReceiptExpired as ReceiptExpired
from services.common.aws.queue_limit import QueueLimit
from services.common.batcher import BatchRefusedError
from services.common.messages.task_message import TRACEPARENT
from services.common.telemetry.faults import CallFaults
from services.common.telemetry.metrics import SQS_CALLS
from services.common.telemetry.spans import SpanKind
from services.common.telemetry.tracing import span

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

R = TypeVar("R")

logger = logging.getLogger(__name__)

MAXIMUM_MESSAGE_SIZE = "MaximumMessageSize"
CALL_SECONDS = 5.0
"""The deadline of a call. For a long poll it is added to the wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message received from a queue."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    receive_count: int
    sent_ms: int
    """When it was sent; epoch milliseconds."""
    group_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to send."""

    body: str | bytes
    """Bytes are UTF-8. They become text, of up to four bytes per character, only during the call."""
    attributes: Mapping[str, str]
    group_id: str | None = None
    delay_seconds: int = 0
    """How long it stays invisible at first; 0 to 900."""

    def size(self) -> int:
        """Return the size by SQS's rules: the body, and each attribute's name, type and value."""
        attributes = sum(len(name) + len("String") + len(value.encode()) for name, value in self.attributes.items())
        return len(self.body if isinstance(self.body, bytes) else self.body.encode()) + attributes


@dataclass(frozen=True, slots=True)
class Visibility:
    """A change of how long a message stays hidden."""

    receipt_handle: str
    seconds: int


class TaskQueue:
    """Calls to one queue. A batch has 1 to 10 entries; the outcomes are in the order of the entries."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self.url = url
        self.limit = QueueLimit()
        """The largest message: from `read_limit`, and from refusals."""
        self.faults = CallFaults()
        self._client = client
        self._may_read_limit = True

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        """Send a batch.

        :raises BatchRefusedError: when SQS refused several messages because of their size or the content of one.
        :raises QueueUnavailable: when the call failed.
        """
        try:
            outcomes = await self._send(messages)
        except BatchRefusedError as refused:
            self._learn_limit(refused.error)
            if len(messages) > 1:
                raise
            return [refused.error]
        for outcome in outcomes:
            self._learn_limit(outcome)
        return outcomes

    def _learn_limit(self, error: Exception | None) -> None:
        if isinstance(error, MessageTooLarge) and error.limit_bytes is not None:
            self.limit.lower(error.limit_bytes)

    async def _send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        entries = [_send_entry(index, message) for index, message in enumerate(messages)]
        traces = [message.attributes.get(TRACEPARENT) for message in messages]
        with span("send batch", SpanKind.CLIENT, parent=traces[0], links=traces) as sent:
            sent.set(self._span_attributes("send", len(messages)))
            answer = await self._call(
                "send",
                self._client.send_message_batch(QueueUrl=self.url, Entries=entries),  # type: ignore[arg-type]
            )
        return _outcomes(len(messages), answer, receipt_codes=frozenset())

    async def receive(self, count: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Wait up to `wait_seconds` for up to `count` messages, which are then hidden for `visibility_seconds`.

        :raises QueueUnavailable: when the call failed.
        """
        started_ns = time.time_ns()
        answer = await self._call(
            "receive",
            self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=visibility_seconds,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"],
            ),
            wait_seconds,
        )
        messages = [_received(message) for message in answer.get("Messages", [])]
        if messages:  # an empty poll belongs to no trace
            traces = [message.attributes.get(TRACEPARENT) for message in messages]
            with span("receive batch", SpanKind.CLIENT, links=traces, started_ns=started_ns) as received:
                received.set(self._span_attributes("receive", len(messages)))
        return messages

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        """Delete a batch. SQS reports success for expired receipt handles as well."""
        entries: list[Any] = [
            {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles)
        ]
        answer = await self._call("delete", self._client.delete_message_batch(QueueUrl=self.url, Entries=entries))
        return _outcomes(len(entries), answer)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        """Extend leases, or return messages to the queue (0 s)."""
        entries: list[Any] = [
            {"Id": str(index), "ReceiptHandle": change.receipt_handle, "VisibilityTimeout": change.seconds}
            for index, change in enumerate(changes)
        ]
        answer = await self._call(
            "change-visibility",
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries),
        )
        return _outcomes(len(entries), answer)

    async def attributes(self, *names: str) -> Mapping[str, str]:
        """Return attributes of the queue."""
        answer = await self._call(
            "attributes",
            self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names)),  # type: ignore[arg-type]
        )
        return dict(answer.get("Attributes", {}))

    async def read_limit(self) -> bool:
        """Read the queue's MaximumMessageSize into `limit`; return False if it should be tried again soon."""
        if not self._may_read_limit:
            return True
        try:
            attributes = await self.attributes(MAXIMUM_MESSAGE_SIZE)
        except QueueAccessDenied as error:  # optional, since refusals report the limit as well
            self._may_read_limit = False
            logger.info("the queue's MaximumMessageSize cannot be read: %s", error, extra={"action": "queue-limit"})
            return True
        except QueueUnavailable:
            return False
        size = attributes.get(MAXIMUM_MESSAGE_SIZE, "")
        if size.isdecimal():
            self.limit.set(int(size))
        return True

    async def _call(self, operation: str, call: Awaitable[R], wait_seconds: float = 0.0) -> Any:
        try:
            answer = await _call(operation, call, wait_seconds + CALL_SECONDS)
        except QueueUnavailable as error:
            if operation == "attributes" and isinstance(error, QueueAccessDenied):
                self.faults.record_success(operation)  # optional, and SQS has responded
            else:
                self.faults.record_failure(operation, fault_of(error, self._name))
            raise
        except BatchRefusedError:
            self.faults.record_success(operation)
            raise
        self.faults.record_success(operation)
        return answer

    @property
    def _name(self) -> str:
        return self.url.rpartition("/")[2]

    def _span_attributes(self, operation: str, count: int) -> dict[str, str | int]:
        return {
            "messaging.system": "aws_sqs",
            "messaging.destination.name": self._name,
            "messaging.operation.type": operation,
            "messaging.batch.message_count": count,
        }


async def _call(operation: str, call: Awaitable[R], limit_seconds: float) -> Any:
    outcome = "error"
    try:
        async with asyncio.timeout(limit_seconds):
            answer = await call
        outcome = "ok"
        return answer
    except TimeoutError:
        raise QueueAnswerLost(f"{operation}: no response within {limit_seconds:g} s") from None
    except ClientError as error:
        translated = call_error(operation, error)
        outcome = "refused" if isinstance(translated, BatchRefusedError) else "error"
        raise translated from error
    except (BotoCoreError, ResponseParserError, HttpClientError, OSError) as error:
        raise QueueAnswerLost(f"{operation}: {type(error).__name__}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # The SDK's errors for an invalid response, such as that of a proxy.
        raise QueueAnswerLost(f"{operation}: the response cannot be read: {type(error).__name__}: {error}") from error
    finally:
        SQS_CALLS.labels(operation, outcome).inc()


def _outcomes(
    count: int, answer: Mapping[str, Any], *, receipt_codes: frozenset[str] = RECEIPT_CODES
) -> list[Exception | None]:
    """Read the response to a batch. An entry that is in neither list counts as failed."""
    outcomes: list[Exception | None] = [QueueAnswerLost("the response does not contain this entry")] * count
    for entry in answer.get("Successful", []):
        outcomes[int(entry["Id"])] = None
    for entry in answer.get("Failed", []):
        outcomes[int(entry["Id"])] = entry_error(entry, receipt_codes)
    return outcomes


def _send_entry(index: int, message: OutgoingMessage) -> dict[str, Any]:
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
    body = message.body.decode() if isinstance(message.body, bytes) else message.body
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": body, "MessageAttributes": attributes}
    if message.group_id is not None:
        entry["MessageGroupId"] = message.group_id
    if message.delay_seconds:  # 0 would overrule a delay of the queue
        entry["DelaySeconds"] = message.delay_seconds
    return entry


def _received(message: Mapping[str, Any]) -> ReceivedMessage:
    system = message.get("Attributes", {})
    attributes = {
        name: attribute["StringValue"]
        for name, attribute in message.get("MessageAttributes", {}).items()
        if "StringValue" in attribute
    }
    return ReceivedMessage(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        attributes=attributes,
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        sent_ms=int(system.get("SentTimestamp", 0)),
        group_id=system.get("MessageGroupId"),
    )
