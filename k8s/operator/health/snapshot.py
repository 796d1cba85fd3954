"""A release at one moment: everything that the health rules are based on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from k8s.operator.api.pod_state import PodState
from k8s.operator.api.readiness import ReadinessReport
from k8s.operator.api.releases import DeploymentState, Release
from k8s.operator.api.workloads import PROCESSOR

SERVING = ("ingest", "token")
COMPONENTS = (*SERVING, PROCESSOR)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A release, what its pods report, and what the operator's other loops report."""

    release: Release
    reports: Mapping[str, ReadinessReport]
    """By pod."""
    now: datetime
    full_versions: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """By component: the latest version of the Deployment of which all pods were ready."""
    queue_error: str = ""
    """Why the operator cannot read the task queue; empty if it can."""
    queue_error_seconds: float = 0.0
    """For how long it has not been able to."""
    scaling_error: str = ""
    """Why the operator cannot scale the processors; empty if it can."""

    def pods(self, component: str) -> list[PodState]:
        """Return the pods of the component's Deployment that are not terminating."""
        return [
            pod for pod in self.release.pods if pod.component == component and pod.is_of_release and not pod.terminating
        ]

    def ready_pods(self, component: str) -> list[PodState]:
        return [pod for pod in self.pods(component) if pod.ready]

    def report(self, pod: PodState) -> ReadinessReport:
        return self.reports.get(pod.name, ReadinessReport())

    def counts(self, deployment: DeploymentState) -> str:
        """Return text such as `dev-token: 1 of 2 pods ready`."""
        ready = len(self.ready_pods(deployment.component))
        return f"{deployment.name}: {ready} of {deployment.replicas} pods ready"


def is_blocked(report: ReadinessReport) -> bool:
    """Whether a pod that is ready cannot do its work."""
    return bool(report.paused_because) or any(fault.is_blocking for fault in report.faults)
