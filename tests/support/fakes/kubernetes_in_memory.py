"""As much of an API server as the operator uses, in memory: versions, finalizers, owners, status, merge patches."""

import copy
import itertools
from typing import Any

from k8s.operator.api.client import Conflict, Gone, Json, Kubernetes
from k8s.operator.api.stage import GROUP, VERSION, StageObject, StageRef, stage_object
from tests.support.operator.aws_account import Calls


class KubernetesInMemory(Kubernetes):
    """`objects` by path; each call is on record in `calls`, which may kill its caller."""

    def __init__(self, calls: Calls | None = None) -> None:
        self.objects: dict[str, Json] = {}
        self.calls = calls or Calls()
        self.stale: dict[str, Json] | None = None
        """What a list answers that may be as old as it likes."""
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
            raise Gone(f"{at} is not there", 404)
        if body.get("metadata", {}).get("resourceVersion", "") not in ("", found["metadata"]["resourceVersion"]):
            raise Conflict(f"{at} has changed", 409)
        merged = merged_patch(found, body)
        merged["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[at] = merged
        self._collect(at)
        self._record("Patch", path)
        return copy.deepcopy(merged)

    def put(self, path: str, body: Json) -> None:
        """As somebody else would."""
        self.objects[path] = copy.deepcopy(body)
        self.objects[path]["metadata"]["resourceVersion"] = str(next(self._versions))

    def delete(self, path: str) -> None:
        """As somebody else would: what has a finalizer stays until that is gone."""
        self.objects[path]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._collect(path)

    def put_stage(self, name: str = "dev", **spec: Any) -> StageObject:
        """A Stage, as it would be applied."""
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
        """A condition of a Stage as written; empty while there is none."""
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
    """Whether an object's path is of a list, of one namespace or of all."""
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
