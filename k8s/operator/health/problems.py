"""A problem of a stage, and which of several is the worst."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Reasons of Degraded for a running release, the worst first. docs/operator.md explains each."""

    OBJECT_MISSING = "ObjectMissing"
    SCALED_TO_ZERO = "ScaledToZero"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CANNOT_START = "ContainerCannotStart"
    PARAMETER_MISSING = "ParameterMissing"
    PARAMETER_UNREADABLE = "ParameterUnreadable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    PODS_REFUSED = "PodsRefused"
    UNSCHEDULABLE = "Unschedulable"
    CRASH_LOOPING = "CrashLooping"
    MOMENTO_KEY_REFUSED = "MomentoKeyRefused"
    MOMENTO_CACHE_MISSING = "MomentoCacheNotFound"
    QUEUE_MISSING = "QueueNotFound"
    QUEUE_ACCESS_DENIED = "QueueAccessDenied"
    QUEUE_UNREACHABLE = "QueueUnreachable"
    MOMENTO_UNREACHABLE = "MomentoUnreachable"
    MOMENTO_QUOTA_EXCEEDED = "MomentoQuotaExceeded"
    CANNOT_SCALE = "CannotScale"
    RECEIVING_PAUSED = "ReceivingPaused"
    PODS_NOT_READY = "PodsNotReady"
    PODS_NOT_ANSWERING = "PodsNotAnswering"
    ROLLOUT_STUCK = "RolloutStuck"
    TASKS_FAILING = "TasksFailing"
    NOT_OBSERVED = "NotObserved"


_RANK = {reason.value: rank for rank, reason in enumerate(Reason)}
MAX_OTHER_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    reason: str
    """CamelCase; one of `Reason`, or what provisioning calls it."""
    message: str
    affects_users: bool = False
    is_certain: bool = True
    """False: it may be over in a moment, so it is reported when it is seen twice in a row."""

    @property
    def key(self) -> tuple[str, str]:
        """The same for one problem at two times: without details that change."""
        return self.reason, self.message.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition's content."""

    status: bool | None
    """None where it is not known."""
    reason: str
    message: str


NO_PROBLEM = Verdict(status=False, reason="NoProblem", message="no problem is known")


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """Those that users notice first, and among them causes before what follows from causes. No two the same."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda one: (not one.affects_users, _RANK.get(one.reason, len(_RANK)), one.message))


def degraded(problems: Iterable[Problem]) -> Verdict:
    """The worst problem in full, the others in short."""
    ordered = worst_first(problems)
    if not ordered:
        return NO_PROBLEM
    worst, *others = ordered
    if not others:
        return Verdict(status=True, reason=worst.reason, message=worst.message)
    more = "; ".join(_short(other.message) for other in others)
    return Verdict(status=True, reason=worst.reason, message=f"{worst.message}; and {len(others)} more: {more}")


def _short(message: str) -> str:
    return message if len(message) <= MAX_OTHER_CHARACTERS else f"{message[: MAX_OTHER_CHARACTERS - 1]}…"
