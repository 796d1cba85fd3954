"""The health loop of one Stage, with all its inputs under the control of a test."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from k8s.operator.api.client import Json, Refused
from k8s.operator.api.events import Events
from k8s.operator.api.pod_state import PodState
from k8s.operator.api.readiness import ReadinessReport
from k8s.operator.api.releases import Releases
from k8s.operator.api.status import Condition, ConditionType, StageStatus
from k8s.operator.health.loop import HealthLoop
from k8s.operator.health.problems import Problem
from k8s.operator.health.stage_health import StageHealth
from tests.support.fakes.kubernetes import InMemoryKubernetes, labels
from tests.support.operator.release import NOW, ReleaseBuilder


class RestrictedKubernetes(InMemoryKubernetes):
    """Refuses lists whose path ends with `forbidden_path`, such as with the RBAC rules of an older chart."""

    forbidden_path = ""

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        if self.forbidden_path and path.endswith(self.forbidden_path):
            raise Refused(f"{path.rpartition('/')[2]} is forbidden", 403)
        return await super().items(path, fresh=fresh, **query)


class FakeReadinessClient:
    """Returns the given reports by pod, and empty ones for other pods."""

    def __init__(self) -> None:
        self.reports: dict[str, ReadinessReport] = {}

    async def read_all(self, pods: list[PodState]) -> dict[str, ReadinessReport]:
        return {pod.name: self.reports.get(pod.name, ReadinessReport()) for pod in pods}


class HealthLoopHarness:
    """A Stage in an in-memory API server, its release, and its health loop. The test sets the time."""

    def __init__(self, status: Json | None = None) -> None:
        self.kubernetes, self.now = RestrictedKubernetes(), 1_000.0
        self.readiness_client = FakeReadinessClient()
        self.release = ReleaseBuilder()
        self.outputs: Mapping[str, str] | None = None
        self.first_checksum = ""
        self.queue_error = ""
        self.requests: list[float] = []
        """Times at which a reconcile was requested."""
        self.apply()
        self.object = self.kubernetes.put_stage()
        if status:
            self.kubernetes.objects[self.object.ref.path]["status"] = status
            self.object = self.kubernetes.stage(self.object.ref)
        self.start()

    def start(self) -> None:
        """Create status and loop again, as after a restart of the operator."""
        self.status = StageStatus(self.object)
        events = Events(self.kubernetes)
        self.health = StageHealth(self.status, events, clock=lambda: self.now)
        context = SimpleNamespace(
            kubernetes=self.kubernetes,
            events=events,
            readiness_client=self.readiness_client,
            releases=Releases(self.kubernetes, clock=lambda: self.now),
        )
        self.loop = HealthLoop(
            cast("Any", context),
            self.status,
            self.health,
            queue_error=lambda: self.queue_error,
            outputs=lambda: self.outputs,
            first_checksum=lambda: self.first_checksum,
            request_reconcile=lambda: self.requests.append(self.now),
            clock=lambda: self.now,
            utc_now=lambda: NOW,
        )

    def apply(self) -> None:
        """Replace the objects in the API server by those of `release`."""
        objects = self.kubernetes.objects
        for path in [path for path in objects if "/stages/" not in path and "/events/" not in path]:
            del objects[path]
        for body in self.release.deployments.values():
            self.kubernetes.put(f"/apis/apps/v1/namespaces/n/deployments/{body['metadata']['name']}", body)
        for name, body in self.release.pods.items():
            self.kubernetes.put(f"/api/v1/namespaces/n/pods/{name}", body)
        for each in sorted(self.release.objects or ()):
            kind, name = each.split("/")
            metadata = {"name": name, "namespace": "n", "labels": labels("x")}
            self.kubernetes.put(f"/api/v1/namespaces/n/{kind.lower()}s/{name}", {"metadata": metadata})

    async def run_once(self, seconds: float = 4.0) -> float:
        pause = await self.loop.run_once(self.object)
        self.now += seconds
        return pause

    async def provisioned(self, *problems: Problem) -> None:
        await self.health.report_provisioning(self.object, problems, is_provisioned=True)

    def condition(self, kind: ConditionType) -> Condition:
        found = self.status.condition(kind)
        assert found is not None
        return found

    def states(self) -> tuple[bool | None, bool | None, str]:
        """Return the status of Ready, the status of Degraded and its reason."""
        degraded = self.condition(ConditionType.DEGRADED)
        return self.condition(ConditionType.READY).status, degraded.status, degraded.reason
