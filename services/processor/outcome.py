"""What becomes of a delivery: decided here without I/O, carried out elsewhere."""

import random
from dataclasses import dataclass
from enum import StrEnum

from services.common.errors import PermanentError, Transient
from services.processor.attempts import Last, Past


class Failure(StrEnum):
    """Why a handler did not finish."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


def failure_of(error: Exception) -> Failure:
    """Say what kind of failure a handler's error is."""
    if isinstance(error, PermanentError):
        return Failure.PERMANENT
    if isinstance(error, Transient):
        return Failure.TRANSIENT
    return Failure.TIMEOUT if isinstance(error, TimeoutError) else Failure.UNKNOWN


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
