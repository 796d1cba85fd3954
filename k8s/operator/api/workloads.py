"""Deployments and pods of a stage as scaling and removal see them, selected by the labels of the chart."""

from dataclasses import dataclass
from datetime import UTC, datetime

from k8s.operator.api.client import Json, Kubernetes
from k8s.operator.api.stage import OUTPUTS_ANNOTATION, StageRef

INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name=notification-api"
PROCESSOR = "processor"
REVISION = "pod-template-hash"
RESTARTS_OF_A_LOOP = 3
_QUIET_SECONDS = 600.0
"""A container that has run this long is no longer in a crash loop; the kubelet then resets its back-off."""
_DEFAULT_MAX_SURGE = "25%"  # default of Kubernetes
_DEFAULT_GRACE_SECONDS = 30  # default of Kubernetes


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment."""

    name: str
    component: str
    replicas: int
    ready: int
    available: bool
    grace_seconds: float
    """Time from SIGTERM to SIGKILL."""
    outputs_checksum: str | None
    """Checksum of the outputs for which its pods were last rolled; None before the first roll."""
    has_current_pods: bool = True
    """Whether some of its pods belong to the newest revision, as far as Kubernetes has counted them."""
    max_surge: str = "0"
    """Pods beyond `replicas` during a rollout: a number, or a percentage of `replicas`."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a stage."""

    name: str
    component: str
    ip: str | None
    started_at: str | None
    ready: bool
    seconds_to_ready: float | None
    """Time from its creation until it was ready; None while it is not ready, and after a restart."""
    runs_since: datetime | None
    """When its container started; None while it does not run."""
    deletion_cost: str | None
    terminating: bool
    has_run: bool
    """Whether a container of it has started, and so has read the outputs of that time."""
    revision: str = ""
    """Hash of its Deployment's pod template."""
    created_at: str = ""
    crashing: bool = False
    """Whether it is not ready because a container has crashed, repeatedly or recently."""
    cannot_start: str = ""
    """Why a container of it cannot start, such as an image that cannot be pulled; empty otherwise."""
    is_of_release: bool = True
    """See the function of the same name."""
    waits_for_node: bool = False
    """Whether it has not been scheduled yet."""


async def read_workloads(kubernetes: Kubernetes, stage: StageRef, *, fresh: bool = False) -> dict[str, Workload]:
    """Return the stage's Deployments by component; for `fresh` see `Kubernetes.items`.

    Other Deployments with the same labels, such as a copy that somebody made, are returned by their own name.
    """
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments"
    found = await kubernetes.items(path, fresh=fresh, labelSelector=f"{NAME},{INSTANCE}={stage.name}")
    workloads = [_workload(body) for body in found]
    return {component_of(workload.name, workload.component, stage.name): workload for workload in workloads}


def component_of(name: str, component: str, release: str) -> str:
    """Return the component of a Deployment of the chart; the Deployment's own name for any other."""
    return component if name == f"{release}-{component}" else name


def is_of_release(pod: Json) -> bool:
    """Whether a Deployment of the chart created this pod. Pods of a Job or of a copy may have the same labels."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    deployment = f"{labels.get(INSTANCE)}-{labels.get(COMPONENT)}"
    return any(
        owner.get("controller") and owner["kind"] == "ReplicaSet" and owner["name"].rpartition("-")[0] == deployment
        for owner in metadata.get("ownerReferences") or []
    )


async def read_pods(
    kubernetes: Kubernetes, stage: StageRef, component: str | None = None, *, fresh: bool = False
) -> list[Pod]:
    """Return the stage's pods that have not ended; for `fresh` see `Kubernetes.items`."""
    selector = f"{NAME},{INSTANCE}={stage.name}" + (f",{COMPONENT}={component}" if component else "")
    found = await kubernetes.items(
        f"/api/v1/namespaces/{stage.namespace}/pods",
        fresh=fresh,
        labelSelector=selector,
        fieldSelector="status.phase!=Succeeded,status.phase!=Failed",
    )
    return [_pod(body) for body in found]


def _workload(body: Json) -> Workload:
    spec, status = body["spec"], body.get("status", {})
    template = spec["template"].get("metadata", {}).get("annotations") or {}
    available = next((c["status"] == "True" for c in status.get("conditions", []) if c["type"] == "Available"), False)
    return Workload(
        name=body["metadata"]["name"],
        component=body["metadata"]["labels"].get(COMPONENT, ""),
        replicas=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas", 0)),
        available=available and status.get("observedGeneration") == body["metadata"]["generation"],
        grace_seconds=float(
            spec["template"].get("spec", {}).get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        ),
        outputs_checksum=template.get(OUTPUTS_ANNOTATION),
        # Kubernetes omits zero.
        has_current_pods=bool(status.get("updatedReplicas")) or not status.get("replicas"),
        max_surge=_max_surge(spec.get("strategy") or {}),
    )


def _max_surge(strategy: Json) -> str:
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return "0"
    return str((strategy.get("rollingUpdate") or {}).get("maxSurge", _DEFAULT_MAX_SURGE))


def _pod(body: Json) -> Pod:
    metadata, status = body["metadata"], body.get("status", {})
    labels, containers = metadata.get("labels") or {}, status.get("containerStatuses") or []
    is_ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready" and c["status"] == "True"), None)
    ready = is_ready is not None
    running = [container.get("state", {}).get("running", {}).get("startedAt") for container in containers]
    cannot_start = "" if ready else _cannot_start(status)
    return Pod(
        name=metadata["name"],
        component=labels.get(COMPONENT, ""),
        ip=status.get("podIP"),
        started_at=status.get("startTime"),
        ready=ready,
        seconds_to_ready=_seconds_to_ready(metadata, is_ready, containers),
        runs_since=min((datetime.fromisoformat(at) for at in running if at), default=None),
        deletion_cost=(metadata.get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost"),
        terminating="deletionTimestamp" in metadata,
        has_run=any(_has_run(container) for container in containers),
        revision=labels.get(REVISION, ""),
        created_at=metadata.get("creationTimestamp", ""),
        crashing=not ready and not cannot_start and any(_is_crashing(container) for container in containers),
        cannot_start=cannot_start,
        is_of_release=is_of_release(body),
        waits_for_node=any(
            condition["type"] == "PodScheduled" and condition["status"] == "False"
            for condition in status.get("conditions") or []
        ),
    )


def _has_run(container: Json) -> bool:
    states = {**container.get("lastState", {}), **container.get("state", {})}
    return "running" in states or "terminated" in states


def _seconds_to_ready(metadata: Json, is_ready: Json | None, containers: list[Json]) -> float | None:
    if is_ready is None or any(int(container.get("restartCount", 0)) for container in containers):
        return None
    created, since = metadata.get("creationTimestamp"), is_ready.get("lastTransitionTime")
    if not created or not since:
        return None
    return (datetime.fromisoformat(since) - datetime.fromisoformat(created)).total_seconds()


_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
USUAL_WAITS = {"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
"""Reasons for which a container waits in normal operation. Any other means that it cannot start."""
_START_FAILURES = {"StartError", "ContainerCannotRun"}
"""Reasons of containers that ended before their process ran."""
_MAX_CAUSE_CHARACTERS = 200


def _cannot_start(status: Json) -> str:
    """Return the first cause, init containers first; empty if there is none."""
    for container in status.get("initContainerStatuses") or []:
        if waiting_reason(container) == "CrashLoopBackOff":
            return f"init container {container.get('name', '')}: CrashLoopBackOff"
        if cause := _start_fault(container):
            return f"init container {container.get('name', '')}: {cause}"
    return next(
        (cause for container in status.get("containerStatuses") or [] if (cause := _start_fault(container))), ""
    )


def waiting_reason(container: Json) -> str:
    """Return why a container waits, such as ContainerCreating; empty if it does not.

    When the image of a running container was changed to one that cannot be pulled, Kubernetes stops the container in
    order, and then (1.34) alternates between the states of the failed pull and CrashLoopBackOff, without counting a
    restart: that is ImagePullBackOff here. After a crash it restarts a container once before it backs off.
    """
    reason = str(((container.get("state") or {}).get("waiting") or {}).get("reason", ""))
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if reason == "CrashLoopBackOff" and ended.get("exitCode") == 0 and not container.get("restartCount"):
        return "ImagePullBackOff"
    return reason


def _start_fault(container: Json) -> str:
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting_reason(container)
    if reason in _IMAGE_REASONS:
        return f"{reason} {container.get('image', '')}".rstrip()
    ended = _last_end(container)
    if ended.get("reason") in _START_FAILURES and "running" not in container.get("state", {}):
        return _shortened(f"{ended['reason']} {ended.get('message', '')}")
    return "" if reason in USUAL_WAITS else _shortened(f"{reason} {waiting.get('message', '')}")


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_MAX_CAUSE_CHARACTERS]


def _is_crashing(container: Json) -> bool:
    """Whether it is in back-off after a crash, or has crashed repeatedly and not long ago."""
    if waiting_reason(container) == "CrashLoopBackOff":
        return True
    if int(container.get("restartCount", 0)) < RESTARTS_OF_A_LOOP:
        return False
    crashed_at = _last_end(container).get("finishedAt")
    return (
        crashed_at is None or (datetime.now(UTC) - datetime.fromisoformat(crashed_at)).total_seconds() < _QUIET_SECONDS
    )


def _last_end(container: Json) -> Json:
    for name in ("state", "lastState"):
        if ended := (container.get(name) or {}).get("terminated"):
            return dict(ended)
    return {}
