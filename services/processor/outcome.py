"""What becomes of a delivery: decided here without I/O, carried out elsewhere."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Why a handler did not finish."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


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
        """Tell whether no further delivery is permitted after this one."""
        return attempt >= self.max_attempts

    def pause_seconds(self, attempt: int) -> int:
        """Return a backoff with full jitter; SQS takes whole seconds."""
        return round(random.uniform(0, min(self.cap_seconds, self.base_seconds * 2 ** min(attempt, 30))))


def is_buried(failure: Failure, attempt: int, policy: RetryPolicy) -> bool:
    """Tell whether a failed attempt ends in the dead-letter queue."""
    return failure is Failure.PERMANENT or policy.is_last(attempt)
