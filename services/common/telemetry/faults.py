"""What a service knows to be wrong with the calls that it makes: reported by /readyz, read by the operator.

A fault does not make a service unready: an error answer that says what is wrong is better than no answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

HOLD_SECONDS = 1.0
"""A call that fails and works at the next attempt is no fault."""
FORGET_SECONDS = 5.0
"""How long a failed operation counts that nobody has tried again, while other operations work."""
FORGET_DENIED_SECONDS = 60.0
"""The same where permission was denied: others that work show nothing, for each operation has a permission of its own.
Unless one was denied as well and works now: then the mistake is mended."""


class Cause(StrEnum):
    """Why calls fail. The operator names its conditions' reasons after these."""

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
    """One thing that is wrong."""

    cause: Cause
    message: str
    """For a person; holds no secret."""
    is_blocking: bool = True
    """Whether every call fails. False: some work."""


_DENIED = frozenset({Cause.MOMENTO_KEY_REFUSED, Cause.QUEUE_DENIED})

FaultSource = Callable[[], list[Fault]]


@dataclass(slots=True)
class _Failing:
    fault: Fault
    since: float
    last: float
    has_worked: bool = False


@dataclass
class CallFaults:
    """Which calls on one dependency fail. Bounded: one entry for each operation's name."""

    clock: Callable[[], float] = time.monotonic
    _failing: dict[str, _Failing] = field(default_factory=dict)
    _worked_at: float = float("-inf")
    _permitted_at: dict[Cause, float] = field(default_factory=dict)
    """When an operation worked that was denied before."""

    def failed(self, operation: str, fault: Fault) -> None:
        """Note that a call failed."""
        now, before = self.clock(), self._failing.get(operation)
        self._failing[operation] = _Failing(
            fault, before.since if before else now, now, has_worked=before is not None and before.has_worked
        )

    def worked(self, operation: str) -> None:
        """Note that a call succeeded. A quota that is used up refuses some calls and lets others pass."""
        now = self._worked_at = self.clock()
        failing = self._failing.get(operation)
        if failing is None:
            return
        if failing.fault.cause is Cause.MOMENTO_QUOTA and now - failing.last < FORGET_SECONDS:
            failing.has_worked = True
        else:
            del self._failing[operation]
            self._permitted_at[failing.fault.cause] = now

    def current(self) -> list[Fault]:
        """The faults, one for each cause."""
        now = self.clock()
        self._failing = {name: each for name, each in self._failing.items() if not self._is_over(each, now)}
        faults: dict[Cause, Fault] = {}
        for each in self._failing.values():
            if now - each.since < HOLD_SECONDS:
                continue
            is_blocking = each.fault.is_blocking and not each.has_worked
            found = Fault(each.fault.cause, each.fault.message, is_blocking=is_blocking)
            if found.cause not in faults or found.is_blocking:
                faults[found.cause] = found
        return list(faults.values())

    def _is_over(self, each: _Failing, now: float) -> bool:
        cause = each.fault.cause
        is_denied = cause in _DENIED and self._permitted_at.get(cause, float("-inf")) <= each.last
        forget_seconds = FORGET_DENIED_SECONDS if is_denied else FORGET_SECONDS
        return now - each.last >= forget_seconds and (each.has_worked or self._worked_at > each.last)
