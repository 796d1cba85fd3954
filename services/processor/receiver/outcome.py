"""What becomes of a delivery: decided here without I/O, carried out elsewhere."""

import random
from dataclasses import dataclass
from enum import StrEnum

from services.common.error_text import leaf_errors
from services.common.errors import PermanentError, Transient
from services.processor.delivery.attempts import Last, Past
from services.processor.handlers.loader import HandlerAborted


class Failure(StrEnum):
    """Why a handler did not finish."""

    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    TIMEOUT = "timeout"
    TRANSIENT = "transient"
    INTERNAL = "internal"
    """The processor itself failed."""


_TYPES = (
    (Failure.PERMANENT, PermanentError),
    (Failure.TRANSIENT, Transient),
    (Failure.TIMEOUT, TimeoutError),
)


def failure_of(error: Exception) -> Failure:
    """Say what kind of failure a handler's error is. A group is permanent where any error in it is.

    By the errors' types, since an object may say of itself that it is of another class.
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


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is told and recorded: delete the message."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Back:
    """Give the message back, hidden for `seconds`."""

    seconds: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Another processor may have the message: leave it alone."""


Verdict = Done | Back | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast a task is tried again."""

    max_attempts: int
    base_seconds: float
    cap_seconds: float

    def is_last(self, attempt: int) -> bool:
        """Tell whether no further attempt is permitted after this one."""
        return attempt >= self.max_attempts

    def attempt(self, past: Past, deliveries: int) -> int:
        """Count the attempt that is under way.

        Deliveries that were no attempts are left out, `max_attempts` of them at most: the queue counts them too, and
        moves a message away without a word when it has counted far enough.
        """
        return max(past.failed + 1, deliveries - self.max_attempts)

    def pause_seconds(self, attempt: int) -> int:
        """Return a backoff with full jitter; SQS takes whole seconds."""
        return round(random.uniform(0, min(self.cap_seconds, self.base_seconds * 2 ** min(attempt, 30))))


def is_suspect(past: Past, deliveries: int, policy: RetryPolicy) -> bool:
    """Tell whether a task may have killed its process, so that it has to run apart from others like it.

    A failure makes no suspect. At the last permitted delivery, one of which nothing was ever noted is one.
    """
    has_no_end = past.last in {Last.BESIDE, Last.ALONE}
    return has_no_end or (past.last is Last.UNNOTED and policy.is_last(deliveries))


def is_killer(past: Past, deliveries: int, policy: RetryPolicy) -> bool:
    """Tell whether a task is set aside unrun: beyond its attempts, and the last one, run apart, had no end.

    Deliveries without a start do not count, as far as the queue's own limit of twice MAX_ATTEMPTS permits. Where the
    cache does not say, the deliveries alone decide.
    """
    counted = deliveries - min(past.skipped, policy.max_attempts - 1)
    return counted > policy.max_attempts and past.last in {Last.ALONE, Last.UNREADABLE}


def can_be_requeued(deliveries: int, policy: RetryPolicy) -> bool:
    """Tell whether a delivery can be requeued before its start without costing the task an attempt.

    The deliveries beyond MAX_ATTEMPTS are left for poison pills, which have to be found before the queue moves them.
    """
    return not policy.is_last(deliveries)


def is_buried(failure: Failure, attempt: int, policy: RetryPolicy) -> bool:
    """Tell whether a failed attempt ends in the dead-letter queue."""
    return failure is Failure.PERMANENT or policy.is_last(attempt)
