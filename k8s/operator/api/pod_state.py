"""A pod as the health rules see it, with the reason why it is not ready if Kubernetes reports one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from k8s.operator.api.client import Json
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.workloads import COMPONENT, RESTARTS_OF_A_LOOP, USUAL_WAITS, is_of_release, waiting_reason

_IMAGE_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff"}
"""Kubernetes alternates between the two."""
_OTHER_IMAGE_REASONS = {"ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable"}
_CLOCK_RESOLUTION_SECONDS = 1.0
"""Kubernetes writes whole seconds."""
MAX_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class PodFault:
    """Why a pod is not ready."""

    reason: DegradedReason
    detail: str


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod."""

    name: str
    component: str
    ip: str | None
    created_at: datetime
    ready: bool
    terminating: bool
    runs_since: datetime | None
    """When its container started; None while none runs."""
    lost_readiness: bool
    """Whether it was ready, and its container has run since."""
    waits_for: str
    """Why its container does not run, such as ContainerCreating; empty if it runs."""
    fault: PodFault | None
    is_of_release: bool = True
    """Whether a Deployment of the chart created it."""
    repeated_crash: PodFault | None = None
    """Its last crash, if it has crashed repeatedly."""


def pod_state(body: Json) -> PodState:
    """Read a pod."""
    metadata, status = body["metadata"], body.get("status", {})
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    ready = conditions.get("Ready", {}).get("status") == "True"
    waiting = [waiting_reason(each) for each in containers if _waiting(each)]
    runs_since = _runs_since(status.get("containerStatuses") or [])
    lost_readiness = not ready and _lost_readiness(conditions.get("Ready", {}), runs_since)
    scheduled = conditions.get("PodScheduled", {})
    return PodState(
        name=metadata["name"],
        component=(metadata.get("labels") or {}).get(COMPONENT, ""),
        ip=status.get("podIP"),
        created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        ready=ready,
        terminating="deletionTimestamp" in metadata,
        runs_since=runs_since,
        lost_readiness=lost_readiness,
        waits_for=waiting[0] if waiting else "",
        fault=None if ready else _fault(body, containers, scheduled, lost_readiness=lost_readiness),
        is_of_release=is_of_release(body),
        repeated_crash=_repeated_crash(body, status.get("containerStatuses") or []),
    )


def _repeated_crash(body: Json, containers: list[Json]) -> PodFault | None:
    for container in containers:
        ended = container.get("lastState", {}).get("terminated")
        if ended and int(container.get("restartCount", 0)) >= RESTARTS_OF_A_LOOP:
            return PodFault(DegradedReason.CRASH_LOOPING, _crash(body, container, ended))
    return None


def _runs_since(containers: list[Json]) -> datetime | None:
    starts = [(each.get("state", {}).get("running") or {}).get("startedAt") for each in containers]
    return max((datetime.fromisoformat(start) for start in starts if start), default=None)


def _lost_readiness(condition: Json, runs_since: datetime | None) -> bool:
    """While a pod starts, its Ready condition is older than its container."""
    since = condition.get("lastTransitionTime")
    if runs_since is None or not since:
        return False
    return (datetime.fromisoformat(since) - runs_since).total_seconds() > _CLOCK_RESOLUTION_SECONDS


def _fault(body: Json, containers: list[Json], scheduled: Json, *, lost_readiness: bool) -> PodFault | None:
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return PodFault(DegradedReason.UNSCHEDULABLE, _shortened(f"not scheduled: {scheduled.get('message', '')}"))
    for container in containers:
        if found := _container_fault(body, container, lost_readiness=lost_readiness):
            return found
    return None


def _container_fault(body: Json, container: Json, *, lost_readiness: bool) -> PodFault | None:
    reason, message = waiting_reason(container), _waiting(container).get("message", "")
    if reason in _IMAGE_PULL_REASONS | _OTHER_IMAGE_REASONS:
        cause = "ImagePullBackOff" if reason in _IMAGE_PULL_REASONS else reason
        return PodFault(DegradedReason.IMAGE_PULL_FAILED, f"{cause} {_image(body, container)}")
    if reason not in USUAL_WAITS:
        return PodFault(
            DegradedReason.CONTAINER_CANNOT_START, _shortened(f"{reason}: {message}" if message else reason)
        )
    ended = container.get("state", {}).get("terminated")
    if not lost_readiness:  # otherwise it has been ready since its last end
        ended = ended or container.get("lastState", {}).get("terminated")
    # Exit code 0 is an orderly stop that Kubernetes asked for, such as after a change of the image.
    has_crashed = ended is not None and ended.get("exitCode") != 0
    if reason == "CrashLoopBackOff" or has_crashed:
        return PodFault(DegradedReason.CRASH_LOOPING, _crash(body, container, ended or {}))
    return None


def _crash(body: Json, container: Json, ended: Json) -> str:
    """Describe a crash. Without the restart count, with which the message would change at each restart."""
    if ended.get("reason") == "OOMKilled":
        limit = _spec(body, container).get("resources", {}).get("limits", {}).get("memory", "")
        return f"crashed: OOMKilled (memory limit {limit})" if limit else "crashed: OOMKilled"
    if "exitCode" not in ended:
        return "crashed: see kubectl logs --previous"
    lines = (ended.get("message") or "").strip().splitlines()
    text = lines[-1] if lines else "see kubectl logs --previous"
    return _shortened(f"crashed: exit code {ended['exitCode']}: {text}")


def _image(body: Json, container: Json) -> str:
    return str(_spec(body, container).get("image") or container.get("image") or "of the pod")


def _spec(body: Json, container: Json) -> dict[str, Any]:
    spec = body.get("spec", {})
    found = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return next((dict(each) for each in found if each["name"] == container.get("name")), {})


def _waiting(container: Json) -> Json:
    return dict(container.get("state", {}).get("waiting") or {})


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_CHARACTERS else f"{text[: MAX_DETAIL_CHARACTERS - 1]}…"
