"""A problem of a stage, and how several problems make one condition."""

from collections.abc import Iterable
from dataclasses import dataclass

from k8s.operator.api.reasons import DegradedReason

_SEVERITY = {reason.value: rank for rank, reason in enumerate(DegradedReason)}
MAX_OTHER_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    reason: str
    """A `DegradedReason`, or a reason of the condition Provisioned."""
    message: str
    affects_users: bool = False
    is_certain: bool = True
    """False: it may be over in a moment, so it is reported only when two readings in a row find it."""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for the same problem at different times: without the details that change."""
        return self.reason, self.message.partition(":")[0]


@dataclass(frozen=True, slots=True)
class ConditionState:
    """Status, reason and message of a condition."""

    status: bool | None
    """None if it is not known."""
    reason: str
    message: str


NO_PROBLEM = ConditionState(status=False, reason="NoProblem", message="no problem is known")


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """Sort: first what affects users, then by severity, causes before their effects. Duplicates are removed."""
    unique = dict.fromkeys(problems)
    return sorted(
        unique, key=lambda one: (not one.affects_users, _SEVERITY.get(one.reason, len(_SEVERITY)), one.message)
    )


def degraded_state(problems: Iterable[Problem]) -> ConditionState:
    """Return the condition Degraded: the worst problem in full, the others shortened."""
    ordered = worst_first(problems)
    if not ordered:
        return NO_PROBLEM
    worst, *others = ordered
    if not others:
        return ConditionState(status=True, reason=worst.reason, message=worst.message)
    more = "; ".join(_shortened(other.message) for other in others)
    message = f"{worst.message}; and {len(others)} more: {more}"
    return ConditionState(status=True, reason=worst.reason, message=message)


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_OTHER_CHARACTERS else f"{message[: MAX_OTHER_CHARACTERS - 1]}…"
