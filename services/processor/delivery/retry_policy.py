"""Decides what follows from failed and interrupted attempts, without I/O."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from notification_api import PermanentError, TransientError
from services.common.aws.task_queue import ReceivedMessage
from services.common.backoff import backoff_seconds
from services.common.error_text import leaf_errors
from services.common.messages.task_message import task_type_of
from services.processor.delivery.attempts import LastAttempt, PastAttempts
from services.processor.handlers.errors import HandlerAborted

UNKNOWN_TYPE = "unknown"
"""The label of all types without a handler, in metrics and logs."""


class Failure(StrEnum):
    """Why an attempt failed."""

    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    TIMEOUT = "timeout"
    TRANSIENT = "transient"
    INTERNAL = "internal_error"
    """The processor itself failed."""


_TYPES = (
    (Failure.PERMANENT, PermanentError),
    (Failure.TRANSIENT, TransientError),
    (Failure.TIMEOUT, TimeoutError),
)


def failure_of(error: Exception) -> Failure:
    """Classify a handler's error. A group is permanent if any error in it is.

    Goes by the errors' types, because an object can pretend to be of another class.
    """
    cause = error.__cause__ if type(error) is HandlerAborted else None
    kinds: set[Failure] = set()
    for each in leaf_errors(error if cause is None else cause):
        kinds.add(_kind(each))
        if Failure.PERMANENT in kinds:
            break
    return next((kind for kind in Failure if kind in kinds), Failure.UNKNOWN)


def _kind(error: BaseException) -> Failure:
    for kind, types in _TYPES:
        if issubclass(type(error), types):
            return kind
    return Failure.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and after which pauses, a task is retried."""

    max_attempts: int
    base_seconds: float
    """The longest pause after the first attempt; it doubles with each further one."""
    cap_seconds: float
    uniform: Callable[[float, float], float] = random.uniform

    def is_last(self, attempt: int) -> bool:
        """Return whether no further attempt is permitted after this one."""
        return attempt >= self.max_attempts

    def attempt_number(self, past: PastAttempts, deliveries: int) -> int:
        """Return the number of the current attempt, from 1.

        Deliveries without an attempt are not counted, up to `max_attempts` of them: the queue counts them too, and
        moves a message to the dead-letter queue without a reason once it has counted far enough.
        """
        return max(past.failed + 1, deliveries - self.max_attempts)

    def backoff_seconds(self, attempt: int) -> int:
        """Return the pause after an attempt, with full jitter; SQS takes whole seconds."""
        pause = backoff_seconds(
            attempt,
            base_seconds=self.base_seconds,
            cap_seconds=self.cap_seconds,
            least_share=0,
            uniform=self.uniform,
        )
        return round(pause)

    def should_dead_letter(self, failure: Failure, attempt: int) -> bool:
        """Return whether a failed attempt ends in the dead-letter queue."""
        return failure is Failure.PERMANENT or self.is_last(attempt)

    def needs_isolation(self, past: PastAttempts, deliveries: int) -> bool:
        """Return whether a task may have killed its process, so that it has to run isolated from others like it.

        A failure of the handler is no reason, or an outage of a dependency would serialise every retry. At the last
        permitted delivery, a task of which nothing is known is isolated.
        """
        has_no_end = past.last in {LastAttempt.STARTED, LastAttempt.STARTED_ISOLATED}
        return has_no_end or (past.last is LastAttempt.UNKNOWN and self.is_last(deliveries))

    def is_poison_pill(self, past: PastAttempts, deliveries: int) -> bool:
        """Return whether a task is dead-lettered without a run: its last attempt, run isolated, killed its process.

        Deliveries without a start do not count, up to MAX_ATTEMPTS - 1 of them: SQS itself moves a message after
        `maxReceiveCount` deliveries, at best twice MAX_ATTEMPTS. If the cache cannot be read, the deliveries decide.
        """
        counted = deliveries - min(past.skipped, self.max_attempts - 1)
        return counted > self.max_attempts and past.last in {LastAttempt.STARTED_ISOLATED, LastAttempt.UNAVAILABLE}

    def can_requeue_unstarted(self, deliveries: int) -> bool:
        """Return whether a delivery can be requeued before its start without costing the task an attempt.

        The deliveries beyond MAX_ATTEMPTS are left for poison pills, which have to be found before the queue moves
        them.
        """
        return not self.is_last(deliveries)


@dataclass(frozen=True, slots=True)
class RetryPolicies:
    """The retry policies of the task types."""

    by_type: Mapping[str, RetryPolicy]
    default: RetryPolicy
    """Of messages whose type is unknown."""

    def of(self, message: ReceivedMessage) -> RetryPolicy:
        """Return the retry policy of a message."""
        return self.by_type.get(task_type_of(message.attributes), self.default)

    def label_of(self, message: ReceivedMessage) -> str:
        """Return the task type of a message for metrics and slots; all unknown ones have the same label."""
        name = task_type_of(message.attributes)
        return name if name in self.by_type else UNKNOWN_TYPE
