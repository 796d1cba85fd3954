"""Faults of a service's outgoing calls, which /readyz reports and the operator reads.

A fault does not make a service unready: a response that explains the error is better than none.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

MIN_FAILING_SECONDS = 1.0
"""A call that succeeds at its next attempt is not a fault."""
FORGET_SECONDS = 5.0
"""How long a failed operation counts that is not called again, while other operations succeed."""
FORGET_DENIED_SECONDS = 60.0
"""The same for a denied permission. Each operation has its own permission, so the success of others proves nothing,
unless one of them had been denied as well: then somebody has granted the permissions."""


class Cause(StrEnum):
    """Why calls fail. The operator derives the reasons of its conditions from these."""

    MOMENTO_KEY_REFUSED = "momento_key_refused"
    MOMENTO_CACHE_MISSING = "momento_cache_missing"
    MOMENTO_QUOTA = "momento_quota"
    MOMENTO_UNREACHABLE = "momento_unreachable"
    QUEUE_MISSING = "queue_missing"
    QUEUE_DENIED = "queue_denied"
    QUEUE_UNREACHABLE = "queue_unreachable"
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_UNREADABLE = "parameter_unreadable"
    TASKS_FAILING = "tasks_failing"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the calls to a dependency fail."""

    cause: Cause
    message: str
    """For people; contains no secret."""
    is_blocking: bool = True
    """Whether every call fails."""


_DENIED = frozenset({Cause.MOMENTO_KEY_REFUSED, Cause.QUEUE_DENIED})

FaultSource = Callable[[], list[Fault]]


@dataclass(slots=True)
class _Failing:
    fault: Fault
    since: float
    last: float
    has_succeeded: bool = False


@dataclass
class CallFaults:
    """The failing calls to one dependency, one entry per operation."""

    clock: Callable[[], float] = time.monotonic
    _failing: dict[str, _Failing] = field(default_factory=dict)
    _succeeded_at: float = float("-inf")
    _permitted_at: dict[Cause, float] = field(default_factory=dict)
    """When an operation succeeded that was denied before."""

    def record_failure(self, operation: str, fault: Fault) -> None:
        """Record a failed call."""
        now, before = self.clock(), self._failing.get(operation)
        self._failing[operation] = _Failing(
            fault, before.since if before else now, now, has_succeeded=before is not None and before.has_succeeded
        )

    def record_success(self, operation: str) -> None:
        """Record a successful call. While a quota is exceeded, some calls still succeed."""
        now = self._succeeded_at = self.clock()
        failing = self._failing.get(operation)
        if failing is None:
            return
        if failing.fault.cause is Cause.MOMENTO_QUOTA and now - failing.last < FORGET_SECONDS:
            failing.has_succeeded = True
        else:
            del self._failing[operation]
            self._permitted_at[failing.fault.cause] = now

    def current(self) -> list[Fault]:
        """Return the faults, one per cause."""
        now = self.clock()
        self._failing = {name: each for name, each in self._failing.items() if not self._is_over(each, now)}
        faults: dict[Cause, Fault] = {}
        for each in self._failing.values():
            if now - each.since < MIN_FAILING_SECONDS:
                continue
            is_blocking = each.fault.is_blocking and not each.has_succeeded
            found = Fault(each.fault.cause, each.fault.message, is_blocking=is_blocking)
            if found.cause not in faults or found.is_blocking:
                faults[found.cause] = found
        return list(faults.values())

    def _is_over(self, each: _Failing, now: float) -> bool:
        cause = each.fault.cause
        is_denied = cause in _DENIED and self._permitted_at.get(cause, float("-inf")) <= each.last
        forget_seconds = FORGET_DENIED_SECONDS if is_denied else FORGET_SECONDS
        return now - each.last >= forget_seconds and (each.has_succeeded or self._succeeded_at > each.last)
