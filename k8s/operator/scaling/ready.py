"""Whether a stage takes tasks: its token and ingest have pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from k8s.operator import metrics
from k8s.operator.events import Events
from k8s.operator.stage_object import StageObject
from k8s.operator.status import Kind, StageStatus
from k8s.operator.workloads import Workload

REQUIRED = ("ingest", "token")


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why not, for a condition."""

    reason: str
    message: str


def why_not_ready(workloads: Mapping[str, Workload]) -> NotReady | None:
    """None where it is ready. Processors come and go; a stage without any takes tasks all the same."""
    missing = [kind for kind in REQUIRED if kind not in workloads]
    if len(missing) == len(REQUIRED):
        return NotReady("NoDeployments", "the release has no Deployments")
    if missing:
        return NotReady("NoDeployments", f"the release has no Deployment of {missing[0]}")
    late = [workloads[kind].name for kind in REQUIRED if not workloads[kind].available]
    return NotReady("WaitingForPods", f"no pods are available yet of {', '.join(late)}") if late else None


class Readiness:
    """The condition Ready of one stage."""

    def __init__(self, status: StageStatus) -> None:
        self._status = status
        # With a condition from before, this is no new stage: its age is not the time that it took.
        self._is_new = status.condition(Kind.READY) is None

    @property
    def is_ready(self) -> bool:
        return self._status.is_(Kind.READY, status=True)

    async def tell(self, stage: StageObject, workloads: Mapping[str, Workload], events: Events) -> bool:
        """Set the condition, and post an Event where the stage becomes ready or ceases to be. Whether it changed."""
        why_not, was_ready = why_not_ready(workloads), self.is_ready
        reason, message = (why_not.reason, why_not.message) if why_not else ("Ready", "the stage takes tasks")
        has_changed = self._status.set(Kind.READY, reason, message, status=why_not is None, generation=stage.generation)
        if self.is_ready and not was_ready:
            if self._is_new:
                metrics.TIME_TO_READY.observe((datetime.now(UTC) - stage.created_at).total_seconds())
            self._is_new = False
            await events.normal(stage.ref, reason, message)
        elif was_ready and not self.is_ready:
            await events.warning(stage.ref, reason, message)
        return has_changed
