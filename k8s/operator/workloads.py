"""What runs of a stage: its Deployments and pods, by the labels that its chart gives them."""

from dataclasses import dataclass
from datetime import datetime

from k8s.operator.kubernetes import Json, Kubernetes
from k8s.operator.stage_object import OUTPUTS_ANNOTATION, StageRef

INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name=notification-api"
PROCESSOR = "processor"
_STUCK = {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError", "RunContainerError"}
_RESTARTS_OF_A_LOOP = 3
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
    stuck: bool
    """It keeps dying or cannot start."""
    deletion_cost: str | None
    terminating: bool
    has_run: bool
    """A container of it has been started, so that it knows what the outputs were then."""


async def read_workloads(kubernetes: Kubernetes, stage: StageRef, *, fresh: bool = False) -> dict[str, Workload]:
    """The stage's Deployments by component; `fresh` as of `Kubernetes.items`."""
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments"
    found = await kubernetes.items(path, fresh=fresh, labelSelector=f"{NAME},{INSTANCE}={stage.name}")
    workloads = [_workload(body) for body in found]
    return {workload.component: workload for workload in workloads}


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
    )


def _pod(body: Json) -> Pod:
    metadata, status = body["metadata"], body.get("status", {})
    containers = status.get("containerStatuses") or []
    is_ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready" and c["status"] == "True"), None)
    ready = is_ready is not None
    running = [container.get("state", {}).get("running", {}).get("startedAt") for container in containers]
    return Pod(
        name=metadata["name"],
        component=(metadata.get("labels") or {}).get(COMPONENT, ""),
        ip=status.get("podIP"),
        started_at=status.get("startTime"),
        ready=ready,
        seconds_to_ready=_seconds_to_ready(metadata, is_ready, containers),
        runs_since=min((datetime.fromisoformat(at) for at in running if at), default=None),
        stuck=not ready and any(_is_stuck(container) for container in containers),
        deletion_cost=(metadata.get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost"),
        terminating="deletionTimestamp" in metadata,
        has_run=any(_has_run(container) for container in containers),
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


def _is_stuck(container: Json) -> bool:
    waiting = container.get("state", {}).get("waiting", {}).get("reason")
    return waiting in _STUCK or int(container.get("restartCount", 0)) >= _RESTARTS_OF_A_LOOP
