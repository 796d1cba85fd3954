"""A release made of Kubernetes objects that a test changes."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from k8s.operator.api.client import Json
from k8s.operator.api.pod_state import pod_state
from k8s.operator.api.readiness import ReadinessReport, ReportedFault
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.releases import Release, deployment_state
from k8s.operator.health.judge import find_problems, ready_state
from k8s.operator.health.problems import degraded_state
from k8s.operator.health.snapshot import COMPONENTS, Snapshot
from tests.support.fakes.kubernetes import labels, owners_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IMAGE = "localhost/notification-api:9.9.9"
OBJECTS = frozenset(
    [
        *("Service/dev-token", "Service/dev-ingest", "ConfigMap/dev-outputs"),
        *(f"ConfigMap/dev-{component}" for component in COMPONENTS),
        *(f"ServiceAccount/dev-{component}" for component in COMPONENTS),
    ]
)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready_pod(name: str, component: str, age: float = 3600) -> Json:
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "labels": labels(component),
            "creationTimestamp": ago(age),
            "ownerReferences": owners_of(component),
        },
        "spec": {"containers": [{"name": component, "image": IMAGE}]},
        "status": {
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(age - 5)},
            ],
            "containerStatuses": [
                {
                    "name": component,
                    "restartCount": 0,
                    "lastState": {},
                    "state": {"running": {"startedAt": ago(age - 2)}},
                }
            ],
        },
    }


def starting(pod: Json, age: float = 5) -> Json:
    """A pod that was created `age` seconds ago and is not ready yet; its container runs."""
    pod = copy.deepcopy(pod)
    pod["metadata"]["creationTimestamp"] = ago(age)
    _ready(pod).update(status="False", lastTransitionTime=ago(age))
    container(pod)["state"] = {"running": {"startedAt": ago(age - 2)}}
    return pod


def waiting(pod: Json, reason: str, message: str = "", **changes: Any) -> Json:
    """A pod whose container waits."""
    pod = starting(pod)
    state = {"reason": reason, "message": message}
    container(pod).update(state={"waiting": state}, **changes)
    return pod


def lost(pod: Json) -> Json:
    """A pod that was ready and is no longer."""
    pod = copy.deepcopy(pod)
    _ready(pod).update(status="False", lastTransitionTime=ago(3))
    return pod


def unscheduled(pod: Json, message: str) -> Json:
    pod = starting(pod)
    pod["status"]["containerStatuses"] = []
    pod["status"]["conditions"][0] = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
    }  # fmt: skip
    return pod


def container(pod: Json) -> Json:
    found: Json = pod["status"]["containerStatuses"][0]
    return found


def _ready(pod: Json) -> Json:
    found: Json = pod["status"]["conditions"][1]
    return found


def make_deployment(component: str, replicas: int) -> Json:
    return {
        "metadata": {
            "name": f"dev-{component}",
            "namespace": "n",
            "labels": labels(component),
            "generation": 3,
            "uid": "first",
        },
        "spec": {"replicas": replicas, "template": {"spec": {"serviceAccountName": f"dev-{component}"}}},
        "status": {"observedGeneration": 3, "replicas": replicas, "updatedReplicas": replicas, "conditions": []},
    }


class ReleaseBuilder:
    """Two pods each of token and ingest, and one processor: healthy until a test changes it."""

    def __init__(self) -> None:
        self.deployments = {
            "token": make_deployment("token", 2),
            "ingest": make_deployment("ingest", 2),
            "processor": make_deployment("processor", 1),
        }
        names = {"token": ["t1", "t2"], "ingest": ["i1", "i2"], "processor": ["p1"]}
        self.pods = {name: ready_pod(name, component) for component in names for name in names[component]}
        self.objects: frozenset[str] | None = OBJECTS
        self.reported: dict[str, ReadinessReport] = {}
        self.full_versions: dict[str, tuple[str, int]] = {}
        self.queue_error = ""
        self.queue_error_seconds = 0.0

    def condition(self, component: str, **condition: str) -> None:
        self.deployments[component]["status"]["conditions"].append(condition)

    def scale(self, component: str, replicas: int) -> None:
        self.deployments[component]["spec"]["replicas"] = replicas

    def begin_rollout(self, component: str) -> None:
        """The Deployment has a newer generation, which is observed, and as yet no pod of it."""
        deployment = self.deployments[component]
        deployment["metadata"]["generation"] += 1
        deployment["status"] |= {"observedGeneration": deployment["metadata"]["generation"], "updatedReplicas": 0}

    def reports(
        self, reason: DegradedReason, message: str, *pods: str, blocking: bool = True, paused: str = ""
    ) -> None:
        fault = ReportedFault(reason, message, is_blocking=blocking)
        warnings = {"receiving": paused} if paused else {}
        self.reported |= {name: ReadinessReport(faults=(fault,), warnings=warnings) for name in pods}

    def snapshot(self) -> Snapshot:
        release = Release(
            "n",
            "dev",
            deployments={name: deployment_state(body) for name, body in self.deployments.items()},
            pods=tuple(pod_state(body) for body in self.pods.values()),
            objects=self.objects,
            outputs={},
        )
        return Snapshot(release, self.reported, NOW, self.full_versions, self.queue_error, self.queue_error_seconds)

    def judge(self) -> tuple[bool | None, str, str, str]:
        """Return status and reason of Ready, and reason and message of Degraded."""
        snapshot = self.snapshot()
        problems = find_problems(snapshot)
        ready, degraded = ready_state(snapshot, problems), degraded_state(problems)
        return ready.status, ready.reason, degraded.reason, degraded.message
