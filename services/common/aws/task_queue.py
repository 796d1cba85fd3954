"""The task queue: SQS calls in batches, each entry with its own outcome, errors translated once."""

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
from services.common.telemetry.tracing import SpanKind, span

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

R = TypeVar("R")

logger = logging.getLogger(__name__)

MAXIMUM_MESSAGE_SIZE = "MaximumMessageSize"
CALL_SECONDS = 5.0
"""A call that takes longer has failed; a long poll gets this on top of its wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message as it came from the queue."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    receive_count: int
    sent_ms: int
    """When it was sent, epoch milliseconds."""
    group_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to send."""

    body: str | bytes
    """Bytes are UTF-8. They become text, of up to four bytes a character, only for the call."""
    attributes: Mapping[str, str]
    group_id: str | None = None

    def size(self) -> int:
        """Bytes that count toward SQS's limits: the body, and each attribute's name, type and value."""
        attributes = sum(len(name) + len("String") + len(value.encode()) for name, value in self.attributes.items())
        return len(self.body if isinstance(self.body, bytes) else self.body.encode()) + attributes


@dataclass(frozen=True, slots=True)
class Visibility:
    """A change of how long a message stays hidden."""

    receipt_handle: str
    seconds: int


class TaskQueue:
    """Calls on one queue. Batches hold 1 to 10 entries; outcomes come in the entries' order."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self.url = url
        self.limit = QueueLimit()
        """How large its messages may be: read with `read_limit`, and learned from refusals."""
        self.faults = CallFaults()
        """What is wrong with the calls."""
        self._client = client
        self._may_read_limit = True

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        """Send a batch.

        :raises BatchRefusedError: when SQS refused several messages for their size or for what is in one of them.
        :raises QueueUnavailable: when the call failed.
        """
        try:
            outcomes = await self._send(messages)
        except BatchRefusedError as refused:
            self._learn(refused.error)
            if len(messages) > 1:
                raise
            return [refused.error]
        for outcome in outcomes:
            self._learn(outcome)
        return outcomes

    def _learn(self, error: Exception | None) -> None:
        if isinstance(error, MessageTooLarge) and error.limit_bytes is not None:
            self.limit.lower(error.limit_bytes)

    async def _send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        entries = [_send_entry(index, message) for index, message in enumerate(messages)]
        traces = [message.attributes.get(TRACEPARENT) for message in messages]
        with span("send batch", SpanKind.CLIENT, parent=traces[0], links=traces) as sent:
            sent.set(self._about("send", len(messages)))
            answer = await self._called(
                "send",
                self._client.send_message_batch(QueueUrl=self.url, Entries=entries),  # type: ignore[arg-type]
            )
        return _outcomes(len(messages), answer, receipt_codes=frozenset())

    async def receive(self, count: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Wait up to `wait_seconds` for up to `count` messages, hidden from others for `visibility_seconds`.

        :raises QueueUnavailable: when SQS could not be asked.
        """
        started_ns = time.time_ns()
        answer = await self._called(
            "receive",
            self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=visibility_seconds,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"],
            ),
            wait_seconds + CALL_SECONDS,
        )
        messages = [_received(message) for message in answer.get("Messages", [])]
        if messages:  # an empty poll is no part of anybody's trace
            traces = [message.attributes.get(TRACEPARENT) for message in messages]
            with span("receive batch", SpanKind.CLIENT, links=traces, started_ns=started_ns) as received:
                received.set(self._about("receive", len(messages)))
        return messages

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        """Delete a batch; that a delete "succeeded" proves nothing about a handle that is out of date."""
        entries: list[Any] = [
            {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles)
        ]
        answer = await self._called("delete", self._client.delete_message_batch(QueueUrl=self.url, Entries=entries))
        return _outcomes(len(entries), answer)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        """Extend leases, or give messages back."""
        entries: list[Any] = [
            {"Id": str(index), "ReceiptHandle": change.receipt_handle, "VisibilityTimeout": change.seconds}
            for index, change in enumerate(changes)
        ]
        answer = await self._called(
            "change-visibility",
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries),
        )
        return _outcomes(len(entries), answer)

    async def attributes(self, *names: str) -> Mapping[str, str]:
        """Return queue attributes by name."""
        answer = await self._called(
            "attributes",
            self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names)),  # type: ignore[arg-type]
        )
        return dict(answer.get("Attributes", {}))

    async def read_limit(self) -> bool:
        """Read the queue's MaximumMessageSize into `limit`; answers False where it is worth trying again soon."""
        if not self._may_read_limit:
            return True
        try:
            attributes = await self.attributes(MAXIMUM_MESSAGE_SIZE)
        except QueueAccessDenied as error:  # optional: what a queue takes is learned from its refusals as well
            self._may_read_limit = False
            logger.info("the queue's MaximumMessageSize cannot be read: %s", error, extra={"action": "queue-limit"})
            return True
        except QueueUnavailable:
            return False
        size = attributes.get(MAXIMUM_MESSAGE_SIZE, "")
        if size.isdecimal():
            self.limit.set(int(size))
        return True

    async def _called(self, operation: str, call: Awaitable[R], *limit_seconds: float) -> Any:
        try:
            answer = await _called(operation, call, *limit_seconds)
        except QueueUnavailable as error:
            if operation == "attributes" and isinstance(error, QueueAccessDenied):
                self.faults.worked(operation)  # optional: it answered
            else:
                self.faults.failed(operation, fault_of(error, self._name))
            raise
        except BatchRefusedError:
            self.faults.worked(operation)
            raise
        self.faults.worked(operation)
        return answer

    @property
    def _name(self) -> str:
        return self.url.rpartition("/")[2]

    def _about(self, operation: str, count: int) -> dict[str, str | int]:
        return {
            "messaging.system": "aws_sqs",
            "messaging.destination.name": self._name,
            "messaging.operation.type": operation,
            "messaging.batch.message_count": count,
        }


async def _called(operation: str, call: Awaitable[R], limit_seconds: float = CALL_SECONDS) -> Any:
    outcome = "error"
    try:
        async with asyncio.timeout(limit_seconds):
            answer = await call
        outcome = "ok"
        return answer
    except TimeoutError:
        raise QueueAnswerLost(f"{operation}: no answer within {limit_seconds:g} s") from None
    except ClientError as error:
        translated = call_error(operation, error)
        outcome = "refused" if isinstance(translated, BatchRefusedError) else "error"
        raise translated from error
    except (BotoCoreError, ResponseParserError, HttpClientError, OSError) as error:
        raise QueueAnswerLost(f"{operation}: {type(error).__name__}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # What the SDK stumbles over in an answer that is none, such as that of a proxy on the way.
        raise QueueAnswerLost(f"{operation}: the answer cannot be read: {type(error).__name__}: {error}") from error
    finally:
        SQS_CALLS.labels(operation, outcome).inc()


def _outcomes(
    count: int, answer: Mapping[str, Any], *, receipt_codes: frozenset[str] = RECEIPT_CODES
) -> list[Exception | None]:
    """Read a batch answer. An entry that is named neither way counts as failed: silence is no acknowledgement."""
    outcomes: list[Exception | None] = [QueueAnswerLost("the answer does not name this entry")] * count
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
