"""What runs of a stage: its Deployments and pods, by the labels that its chart gives them."""

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
"""A container that has run for so long is no longer in a crash loop (kubelet then resets its back-off, too)."""
_DEFAULT_MAX_SURGE = "25%"
"""Kubernetes' own."""
_USUAL_GRACE_SECONDS = 30
"""Kubernetes' own."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One Deployment."""

    name: str
    component: str
    replicas: int
    ready: int
    available: bool
    grace_seconds: float
    """What a pod that goes has, from SIGTERM to SIGKILL."""
    outputs_checksum: str | None
    """Of the outputs that its pods were last rolled for; None before the first roll."""
    has_current_pods: bool = True
    """Some of its pods are of the newest revision, as far as Kubernetes has counted them."""
    max_surge: str = "0"
    """Pods beyond `replicas` while it rolls out: a number, or a percentage of `replicas`."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a stage."""

    name: str
    component: str
    ip: str | None
    started_at: str | None
    ready: bool
    seconds_to_ready: float | None
    """From its creation; None while it is not ready, and for one that has been ready before."""
    runs_since: datetime | None
    """None while its container does not run."""
    deletion_cost: str | None
    terminating: bool
    has_run: bool
    """A container of it has been started, so that it knows what the outputs were then."""
    revision: str = ""
    """Of its Deployment's pod template."""
    created_at: str = ""
    crashing: bool = False
    """A container of it ran and died, again and again or a moment ago, and it is not ready."""
    cannot_start: str = ""
    """Why a container of it cannot start, such as an image that cannot be pulled; empty where that is not so."""
    is_of_release: bool = True
    """As the function of that name."""
    waits_for_node: bool = False
    """No node has been found for it yet."""


async def read_workloads(kubernetes: Kubernetes, stage: StageRef, *, fresh: bool = False) -> dict[str, Workload]:
    """The stage's Deployments by component; `fresh` as of `Kubernetes.items`.

    Others that bear the same labels, such as a copy that somebody made, are there by their own name.
    """
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments"
    found = await kubernetes.items(path, fresh=fresh, labelSelector=f"{NAME},{INSTANCE}={stage.name}")
    workloads = [_workload(body) for body in found]
    return {component_of(workload.name, workload.component, stage.name): workload for workload in workloads}


def component_of(name: str, component: str, release: str) -> str:
    """The component that a Deployment is of the chart's; its own name where it is another's."""
    return component if name == f"{release}-{component}" else name


def is_of_release(pod: Json) -> bool:
    """Whether a Deployment of the chart made this pod. A Job's, or one of a copy, may bear the same labels."""
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
    """The stage's pods that have not ended; `fresh` as of `Kubernetes.items`."""
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
            spec["template"].get("spec", {}).get("terminationGracePeriodSeconds", _USUAL_GRACE_SECONDS)
        ),
        outputs_checksum=template.get(OUTPUTS_ANNOTATION),
        # Kubernetes leaves out what is zero.
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


_IMAGE_FAULTS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
USUAL_WAITS = {"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
"""Reasons of containers that wait for their turn, or have run. Any other says why a container cannot start."""
_NEVER_RAN = {"StartError", "ContainerCannotRun"}
"""Ends of containers whose process never ran."""
_MAX_CAUSE_CHARACTERS = 200


def _cannot_start(status: Json) -> str:
    """The first cause, of the init containers before the others; empty where there is none."""
    for container in status.get("initContainerStatuses") or []:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") == "CrashLoopBackOff":
            return f"init container {container.get('name', '')}: CrashLoopBackOff"
        if cause := _start_fault(container):
            return f"init container {container.get('name', '')}: {cause}"
    return next(
        (cause for container in status.get("containerStatuses") or [] if (cause := _start_fault(container))), ""
    )


def _start_fault(container: Json) -> str:
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in _IMAGE_FAULTS:
        return f"{reason} {container.get('image', '')}".rstrip()
    ended = _last_end(container)
    if ended.get("reason") in _NEVER_RAN and "running" not in container.get("state", {}):
        return _shortened(f"{ended['reason']} {ended.get('message', '')}")
    return "" if reason in USUAL_WAITS else _shortened(f"{reason} {waiting.get('message', '')}")


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_MAX_CAUSE_CHARACTERS]


def _is_crashing(container: Json) -> bool:
    """A back-off follows a death. One that runs again crashes if it has died often, and not long ago."""
    if container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff":
        return True
    if int(container.get("restartCount", 0)) < RESTARTS_OF_A_LOOP:
        return False
    died_at = _last_end(container).get("finishedAt")
    return died_at is None or (datetime.now(UTC) - datetime.fromisoformat(died_at)).total_seconds() < _QUIET_SECONDS


def _last_end(container: Json) -> Json:
    for name in ("state", "lastState"):
        if ended := (container.get(name) or {}).get("terminated"):
            return dict(ended)
    return {}
