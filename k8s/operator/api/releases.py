"""The objects of every release, read with five lists for all stages together from the API server's cache.

Five lists per stage would cost fifty times as much with fifty stages. A watch would keep every object in memory.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from k8s.operator.api.client import Json, Kubernetes, Refused
from k8s.operator.api.pod_state import PodState, pod_state
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import COMPONENT, INSTANCE, NAME, component_of

R = TypeVar("R")
Key = tuple[str, str]
"""Namespace and name of the release."""

_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
_KINDS = {"services": "Service", "serviceaccounts": "ServiceAccount", "configmaps": "ConfigMap"}
OUTPUTS = "-outputs"


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A Deployment as the health rules see it."""

    name: str
    component: str
    replicas: int
    version: tuple[str, int]
    """Uid and generation: a Deployment that was deleted and created again has another uid."""
    is_rolled_out: bool
    """Whether all of its pods belong to this version."""
    replica_failure: str
    """Why pods cannot be created; empty if they can."""
    deadline_exceeded: str
    service_account: str


@dataclass(frozen=True, slots=True)
class Release:
    """The objects of one release."""

    namespace: str
    name: str
    deployments: Mapping[str, DeploymentState] = field(default_factory=dict)
    """By component."""
    pods: Sequence[PodState] = ()
    objects: frozenset[str] | None = frozenset()
    """Other objects, such as `Service/dev-token`; None if the operator may not list them."""
    outputs: Mapping[str, str] | None = None
    """Data of the ConfigMap with the outputs; None if it does not exist."""


class Releases:
    """One for all stages. Concurrent callers share one reading."""

    def __init__(
        self, kubernetes: Kubernetes, namespaces: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kubernetes = kubernetes
        self._namespaces = namespaces
        self._clock = clock
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._releases: dict[Key, Release] = {}
        self._unlistable: set[str] = set()
        """Namespaces in which the operator may not list the other objects; an empty string stands for all."""

    async def get(self, stage: StageRef, max_age_seconds: float) -> Release:
        """Return the stage's release, read at most `max_age_seconds` ago. Raises what the Kubernetes client does."""
        wanted_since = self._clock() - max_age_seconds
        async with self._reading:
            if (
                self._read_at < wanted_since
            ):  # compared with the time of the call: else a slow reading would be repeated by each waiting caller
                read_at = self._clock()
                self._releases = await self._read()
                self._read_at = read_at
        empty = Release(stage.namespace, stage.name, objects=self._listable(stage.namespace, ()))
        return self._releases.get((stage.namespace, stage.name), empty)

    async def _read(self) -> dict[Key, Release]:
        deployments, pods = await asyncio.gather(
            self._list("/apis/apps/v1/deployments", deployment_state),
            self._list("/api/v1/pods", pod_state, _RUNNING),
        )
        objects, outputs = await self._objects()
        return {
            key: Release(
                *key,
                deployments={
                    each.component: each
                    for each in deployments.get(key, ())
                    if component_of(each.name, each.component, key[1]) == each.component
                },
                pods=tuple(pods.get(key, ())),
                objects=self._listable(key[0], objects.get(key, ())),
                outputs=outputs[key].get("data") or {} if key in outputs else None,
            )
            for key in {*deployments, *pods, *objects}
        }

    def _listable(self, namespace: str, names: Iterable[str]) -> frozenset[str] | None:
        return None if self._unlistable & {"", namespace} else frozenset(names)

    async def _objects(self) -> tuple[dict[Key, list[str]], dict[Key, Json]]:
        """List the names of the other objects, and the ConfigMaps with the outputs."""
        self._unlistable.clear()
        names: dict[Key, list[str]] = defaultdict(list)
        outputs: dict[Key, Json] = {}
        lists = await asyncio.gather(*(self._bodies(plural) for plural in _KINDS))
        for kind, bodies in zip(_KINDS.values(), lists, strict=True):
            for body in bodies:
                key, name = _key(body), body["metadata"]["name"]
                names[key].append(f"{kind}/{name}")
                if kind == "ConfigMap" and name == key[1] + OUTPUTS:
                    outputs[key] = body
        return names, outputs

    async def _list(self, path: str, read: Callable[[Json], R], field_selector: str = "") -> dict[Key, list[R]]:
        query = {"fieldSelector": field_selector} if field_selector else {}
        found: dict[Key, list[R]] = defaultdict(list)
        for body in await self._kubernetes.items(path, fresh=False, labelSelector=NAME, **query):
            found[_key(body)].append(read(body))
        return found

    async def _bodies(self, plural: str) -> list[Json]:
        """If namespaces are given, the operator may list these kinds in those only."""
        lists = await asyncio.gather(*(self._in(name, plural) for name in self._namespaces or [""]))
        return [body for bodies in lists for body in bodies]

    async def _in(self, namespace: str, plural: str) -> list[Json]:
        path = f"/api/v1/namespaces/{namespace}/{plural}" if namespace else f"/api/v1/{plural}"
        try:
            return await self._kubernetes.items(path, labelSelector=NAME)
        except Refused:
            # The Role of an older chart does not allow it, and a namespace that is being deleted has no Role any more.
            self._unlistable.add(namespace)
            return []


def _key(body: Json) -> Key:
    metadata = body["metadata"]
    return metadata.get("namespace", ""), (metadata.get("labels") or {}).get(INSTANCE, "")


def deployment_state(body: Json) -> DeploymentState:
    """Read a Deployment."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    failure, progress = conditions.get("ReplicaFailure", {}), conditions.get("Progressing", {})
    replicas, generation = int(spec.get("replicas", 1)), int(metadata.get("generation", 0))
    is_observed = status.get("observedGeneration") == generation
    pods, updated_pods = status.get("replicas", 0), status.get("updatedReplicas", 0)
    return DeploymentState(
        name=metadata["name"],
        component=(metadata.get("labels") or {}).get(COMPONENT, ""),
        replicas=replicas,
        version=(metadata.get("uid", ""), generation),
        is_rolled_out=is_observed and pods == updated_pods == replicas,
        replica_failure=failure.get("message", "") if failure.get("status") == "True" else "",
        deadline_exceeded=progress.get("message", "") if progress.get("reason") == "ProgressDeadlineExceeded" else "",
        service_account=spec["template"].get("spec", {}).get("serviceAccountName", ""),
    )
