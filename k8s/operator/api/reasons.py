"""Reasons of the condition Degraded."""

from enum import StrEnum


class DegradedReason(StrEnum):
    """What can be wrong with a running release, the most severe first. docs/reference/operator.md explains each."""

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
    MOMENTO_CACHE_MISSING = "MomentoCacheMissing"
    QUEUE_MISSING = "QueueMissing"
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
