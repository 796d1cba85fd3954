"""A Kubernetes API for units: lists that a test fills, patches that it reads."""

from typing import Any

from k8s.operator.api.client import Json, Kubernetes


class FakeKubernetes(Kubernetes):
    """Only what a unit needs; `pods` and `deployments` are what the lists answer, `objects` what single reads do."""

    def __init__(self) -> None:
        self.pods: list[Json] = []
        self.deployments: list[Json] = []
        self.others: dict[str, list[Json]] = {"services": [], "serviceaccounts": [], "configmaps": []}
        self.objects: dict[str, Json] = {}
        self.patches: list[tuple[str, Json]] = []
        self.created: list[tuple[str, Json]] = []
        self.error: Exception | None = None
        self.refused: dict[str, Exception] = {}
        """What patches of paths that end so raise."""
        self.lists = 0

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        self.lists += 1
        if self.error:
            raise self.error
        wanted = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if "=" in part)
        found = {"pods": self.pods, "deployments": self.deployments, **self.others}[path.rsplit("/", 1)[-1]]
        return [body for body in found if wanted.items() <= body["metadata"]["labels"].items()]

    async def get(self, path: str, **query: str) -> Json | None:
        return self.objects.get(path)

    async def patch(self, path: str, body: Json) -> Json:
        for ending, error in self.refused.items():
            if path.endswith(ending):
                raise error
        self.patches.append((path, body))
        return body

    async def create(self, path: str, body: Json) -> Json:
        self.created.append((path, body))
        return body


def labels(component: str, release: str = "dev") -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "notification-api",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
    }


def made_by(component: str, revision: str = "5d4f") -> list[Json]:
    """The owners of a pod that the chart's Deployment made."""
    name = f"dev-{component}-{revision}"
    return [{"kind": "ReplicaSet", "name": name, "uid": f"uid-of-{name}", "controller": True}]


def pod(name: str, component: str = "processor", **changes: Any) -> Json:
    """A ready pod; `waiting` names why its container does not run, `last` what it did before, `ended` how, `init` why
    an init container waits, `cost` is its cost of deletion, `revision` its template's hash."""
    waiting, cost = changes.get("waiting"), changes.get("cost")
    is_ready = changes.get("ready", not waiting)
    created = changes.get("created", "2026-01-01T00:00:00Z")
    metadata: Json = {
        "name": name,
        "labels": labels(component),
        "creationTimestamp": created,
        "ownerReferences": made_by(component),
    }
    if "revision" in changes:
        metadata["labels"]["pod-template-hash"] = changes["revision"]
    if cost is not None:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    if changes.get("terminating"):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    running: Json = {"running": {"startedAt": changes.get("runs_since", "2026-01-01T00:00:02Z")}}
    container: Json = {
        "restartCount": changes.get("restarts", 0),
        "image": changes.get("image", "localhost/notification-api:1"),
        "state": {"waiting": {"reason": waiting, "message": changes.get("message", "")}} if waiting else running,
    }
    if "last" in changes:
        container["lastState"] = {changes["last"]: changes.get("ended", {})}
    waits = {"name": "init", "state": {"waiting": {"reason": changes.get("init")}}}
    return {
        "metadata": metadata,
        "status": {
            "podIP": changes.get("ip", "127.0.0.1"),
            "startTime": "2026-01-01T00:00:00Z",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if is_ready else "False",
                    "lastTransitionTime": changes.get("ready_at", "2026-01-01T00:00:05Z"),
                }
            ],
            "containerStatuses": [container],
            "initContainerStatuses": [waits] if "init" in changes else [],
        },
    }


def deployment(component: str, replicas: int = 1, outputs: str | None = None) -> Json:
    annotations = {"notification-api.io/outputs": outputs} if outputs else {}
    return {
        "metadata": {"name": f"dev-{component}", "labels": labels(component), "generation": 1},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"annotations": annotations}, "spec": {"terminationGracePeriodSeconds": 60}},
        },
        "status": {
            "replicas": replicas,
            "readyReplicas": replicas,
            "updatedReplicas": replicas,
            "observedGeneration": 1,
            "conditions": [{"type": "Available", "status": "True"}],
        },
    }
