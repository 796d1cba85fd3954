"""Two fakes of the Kubernetes API, and the objects that tests create in them."""

import copy
import itertools
from typing import Any

from k8s.operator.api.client import Conflict, Json, Kubernetes, ObjectNotFound
from k8s.operator.api.stage import GROUP, VERSION, StageObject, StageRef, stage_object
from tests.support.fakes.calls import Calls


class StubKubernetes(Kubernetes):
    """Canned responses: lists return `pods` and `deployments`, single reads `objects`. Writes are recorded."""

    def __init__(self) -> None:
        self.pods: list[Json] = []
        self.deployments: list[Json] = []
        self.others: dict[str, list[Json]] = {"services": [], "serviceaccounts": [], "configmaps": []}
        self.objects: dict[str, Json] = {}
        self.patches: list[tuple[str, Json]] = []
        self.created: list[tuple[str, Json]] = []
        self.error: Exception | None = None
        self.refused: dict[str, Exception] = {}
        """Errors of patches, by the end of the path."""
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


class InMemoryKubernetes(Kubernetes):
    """The parts of an API server that the operator uses: versions, finalizers, owners, status and merge patches.

    `objects` are stored by path. Each call is recorded in `calls`, which may kill the caller.
    """

    def __init__(self, calls: Calls | None = None) -> None:
        self.objects: dict[str, Json] = {}
        self.calls = calls or Calls()
        self.stale: dict[str, Json] | None = None
        """Objects that a list without `fresh` returns, if they differ from `objects`."""
        self._versions = itertools.count(1)

    async def get(self, path: str, **query: str) -> Json | None:
        found = copy.deepcopy(self.objects.get(path))
        self._record("Get", path)
        return found

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        wanted = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if "=" in part)
        objects = self.objects if fresh or self.stale is None else self.stale
        found = [
            copy.deepcopy(body)
            for at, body in objects.items()
            if _is_in(at, path) and wanted.items() <= body["metadata"].get("labels", {}).items()
        ]
        self._record("List", path)
        return found

    async def create(self, path: str, body: Json) -> Json:
        self.calls.check_alive()
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            raise Conflict(f"{at} exists", 409)
        self.put(at, body)
        self._record("Create", path)
        return copy.deepcopy(self.objects[at])

    async def patch(self, path: str, body: Json) -> Json:
        self.calls.check_alive()
        at = path.removesuffix("/status").removesuffix("/scale")
        found = self.objects.get(at)
        if found is None:
            raise ObjectNotFound(f"{at} is not there", 404)
        if body.get("metadata", {}).get("resourceVersion", "") not in ("", found["metadata"]["resourceVersion"]):
            raise Conflict(f"{at} has changed", 409)
        merged = merged_patch(found, body)
        merged["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[at] = merged
        self._collect(at)
        self._record("Patch", path)
        return copy.deepcopy(merged)

    def put(self, path: str, body: Json) -> None:
        """Write an object as another client would."""
        self.objects[path] = copy.deepcopy(body)
        self.objects[path]["metadata"]["resourceVersion"] = str(next(self._versions))

    def delete(self, path: str) -> None:
        """Delete an object as another client would. It exists until its finalizers are removed."""
        self.objects[path]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._collect(path)

    def put_stage(self, name: str = "dev", **spec: Any) -> StageObject:
        """Create a Stage."""
        ref = StageRef("n", name, f"uid-of-{name}")
        metadata = {
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": ref.uid,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        kind = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Stage"}
        self.put(ref.path, {**kind, "metadata": metadata, "spec": {"stageName": name, **spec}})
        return self.stage(ref)

    def stage(self, ref: StageRef) -> StageObject:
        return stage_object(copy.deepcopy(self.objects[ref.path]))

    def condition(self, ref: StageRef, kind: str) -> Json:
        """Return a condition of a Stage as written; empty if there is none."""
        conditions = self.objects[ref.path].get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def events(self) -> list[str]:
        return [body["reason"] for path, body in self.objects.items() if "/events/" in path]

    def _collect(self, path: str) -> None:
        metadata = self.objects[path]["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return
        del self.objects[path]
        owners = {at: body["metadata"].get("ownerReferences", []) for at, body in self.objects.items()}
        for at, owned_by in owners.items():
            if metadata.get("uid") in [owner["uid"] for owner in owned_by]:
                del self.objects[at]

    def _record(self, verb: str, path: str) -> None:
        self.calls.record(f"{verb} {path}")


def _is_in(at: str, path: str) -> bool:
    """Whether an object belongs to a list of one namespace or of all."""
    api, _, plural = path.rpartition("/")
    parent = at.rpartition("/")[0]
    return parent == path or (parent.startswith(f"{api}/namespaces/") and parent.endswith(f"/{plural}"))


def merged_patch(target: Any, patch: Json) -> Json:
    """RFC 7386, section 2."""
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged_patch(result.get(key), value) if isinstance(value, dict) else value
    return result


def labels(component: str, release: str = "dev") -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "notification-api",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
    }


def owners_of(component: str, revision: str = "5d4f") -> list[Json]:
    """Return the owners of a pod that the chart's Deployment created."""
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
        "ownerReferences": owners_of(component),
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
