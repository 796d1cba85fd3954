"""The log line at the end of each delivery, by which one task is followed (docs/how-to/monitor.md, "Follow one task").

The lines of a delivery have the same ids. They hold no user data.
"""

import logging
from typing import Any

from notification_api.task import DEFAULT_TYPE
from services.common.aws.task_queue import ReceivedMessage
from services.common.messages.task_message import TRACEPARENT, task_id_of
from services.common.telemetry.logs import log_context
from services.common.telemetry.spans import is_traceparent
from services.processor.dead_letter_message import is_redriven
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Requeue

logger = logging.getLogger(__name__)

EXPECTED_RESULTS = frozenset({"finished", "cancelled", "expired", "duplicate", "already_acknowledged"})
"""What `Acknowledge` says of a task that has not failed."""
_EXPECTED_REASONS = frozenset({"drain", "isolated", "type_full"})
"""Reasons of a requeue that are no failures."""


def task_context(message: ReceivedMessage) -> log_context:
    """Add the ids of the task to every line that is logged within the block."""
    ids = {"taskId": task_id_of(message.attributes, message.message_id)}
    traceparent = message.attributes.get(TRACEPARENT)
    if traceparent and is_traceparent(traceparent):
        ids["traceId"] = traceparent.split("-")[1]
    return log_context(**ids)


def log_concluded(lease: Lease, result: str) -> None:
    """Log the final outcome of a task; that of a redelivery whose task is concluded is a duplicate."""
    level = logging.INFO if result in EXPECTED_RESULTS else logging.WARNING
    logger.log(level, "task concluded", extra={"action": "conclude", "outcome": result, **about(lease)})


def log_requeued(lease: Lease, outcome: Requeue) -> None:
    """Log that the message is on the queue again, hidden for `delaySeconds`."""
    level = logging.INFO if outcome.reason in _EXPECTED_REASONS else logging.WARNING
    fields = {"outcome": "requeued", "reason": outcome.reason, "delaySeconds": outcome.delay_seconds, **about(lease)}
    logger.log(level, "task requeued", extra={"action": "requeue", **fields})


def log_not_requeued(lease: Lease, outcome: Requeue, error: str) -> None:
    """Log that the message could not be requeued: it is visible again when its lease expires."""
    fields = {"outcome": "not_requeued", "reason": outcome.reason, **about(lease)}
    logger.warning(
        "task not requeued, it is visible again when its lease expires: %s",
        error,
        extra={"action": "requeue", **fields},
    )


def log_lease_lost(lease: Lease) -> None:
    """Log that the task is left to the replica that receives it next."""
    logger.warning(
        "task left to another replica: its lease was lost",
        extra={"action": "lease", "outcome": "lease_lost", **about(lease)},
    )


def about(lease: Lease) -> dict[str, Any]:
    """Return what is known of the delivery; `seconds` is the time in the handler."""
    message = lease.message
    known: dict[str, Any] = {"messageId": message.message_id, "delivery": message.receive_count}
    if lease.task_type != DEFAULT_TYPE:
        known["type"] = lease.task_type
    if lease.attempt is not None:
        known["attempt"] = lease.attempt
    if lease.handler_seconds is not None:
        known["seconds"] = round(lease.handler_seconds, 3)
    if lease.wait_seconds is not None:
        known["waitSeconds"] = round(lease.wait_seconds, 3)
    if lease.dead_letter_reason is not None:
        known["deadLetterReason"] = lease.dead_letter_reason
    if is_redriven(message):
        known["redriven"] = True
    return known
