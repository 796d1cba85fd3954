"""The scaling loop of one stage: observe, decide, scale, report, every few seconds."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from k8s.operator import metrics
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.api.workloads import PROCESSOR, Workload, read_workloads
from k8s.operator.context import Context
from k8s.operator.policy.poll_schedule import seconds_until_idle_poll
from k8s.operator.policy.types import Decision, Memory, Observed, Policy
from k8s.operator.scaling.apply import scale_deployment
from k8s.operator.scaling.observe import Observer
from k8s.operator.scaling.pod_start_times import ASSUMED_SECONDS
from k8s.operator.scaling.queues import DEAD_LETTERS_SECONDS, BacklogAge, DeadLetterCount, QueueDepth, read_depth
from k8s.operator.scaling.report import (
    record_metrics,
    report_decision,
    report_external_scaling,
    report_no_processor,
)
from notification_api import PermanentError, TransientError

logger = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 120.0
"""For this time after a change, pods that are not ready are expected to become ready."""
IDLE_WORKLOADS_SECONDS = 30.0
"""The age at which the Deployments of an idle stage are read again."""
MIN_POLLS_TO_STABILISE = 3


@dataclass
class ScalingLoop:
    """Scales one stage."""

    context: Context
    status: StageStatus
    observer: Observer
    clock: Callable[[], float] = time.monotonic
    _memory: Memory = field(default_factory=Memory)
    _workloads: dict[str, Workload] = field(default_factory=dict)
    _backlog_age: BacklogAge = field(default_factory=BacklogAge)
    _dead_letters: DeadLetterCount = field(default_factory=DeadLetterCount)
    _workloads_read_at: float = float("-inf")
    _changed_at: float = float("-inf")
    _generation: int | None = None
    _is_idle: bool = False
    _policy: Policy | None = None
    _queue_error: str = ""

    @property
    def queue_error(self) -> str:
        """Why the latest poll could not read the queue; empty if it could, or did not try."""
        return self._queue_error

    async def run_once(self, stage: StageObject, queue_url: str) -> float:
        """Poll once and scale. Returns the seconds until the next poll. Raises what the Kubernetes client raises."""
        is_operated = stage.engine == "operator"
        depth, depth_error = await self._read_depth(queue_url) if is_operated else (None, "")
        self._queue_error = depth_error
        now = self.clock()
        if stage.generation != self._generation:
            self._generation, self._changed_at = stage.generation, now
        has_no_work = (depth is not None and depth.is_empty) or not is_operated
        if is_operated:
            self._backlog_age.update(stage.labels, depth, now)
        await self._count_dead_letters(stage, now, has_no_work=has_no_work)
        if not (has_no_work and self._is_idle and now - self._workloads_read_at < IDLE_WORKLOADS_SECONDS):
            await self._read_and_scale(stage, depth, depth_error, now)
        if not is_operated:
            self._backlog_age = BacklogAge()
            report_external_scaling(self.status, stage, self._workloads.get(PROCESSOR))
        self._is_idle = has_no_work and self._is_stable(now, is_operated=is_operated)
        await self.status.flush(self.context.kubernetes)
        return self._poll_interval()

    def poll_soon(self) -> None:
        """Read everything at the next poll, and poll at the interval of a stage with work."""
        self._is_idle = False

    def _poll_interval(self) -> float:
        settings = self.context.settings
        if self._is_idle:
            return seconds_until_idle_poll(settings.idle_poll_seconds, self.clock())
        return settings.active_poll_seconds

    def _is_stable(self, now: float, *, is_operated: bool) -> bool:
        """Whether a stage without work has nothing left to decide, and no pod whose readiness is to be reported."""
        processor = self._workloads.get(PROCESSOR)
        if processor is None or not is_operated:
            return True
        smallest = self._policy.min_replicas if self._policy else 0
        is_starting = processor.ready != processor.replicas and now - self._changed_at < START_TIMEOUT_SECONDS
        return processor.replicas == smallest and not is_starting

    async def _read_depth(self, queue_url: str) -> tuple[QueueDepth | None, str]:
        try:
            return await read_depth(self.context.sqs, queue_url), ""
        except (TransientError, PermanentError) as error:
            return None, str(error)

    async def _count_dead_letters(self, stage: StageObject, now: float, *, has_no_work: bool) -> None:
        if url := self.status.dead_letter_queue_url:
            every = max(DEAD_LETTERS_SECONDS, self.context.settings.resync_seconds if has_no_work else 0.0)
            await self._dead_letters.update(self.context.sqs, url, stage.labels, every_seconds=every, now=now)

    async def _read_and_scale(self, stage: StageObject, depth: QueueDepth | None, depth_error: str, now: float) -> None:
        try:
            self._workloads = await read_workloads(self.context.kubernetes, stage.ref)
            self._workloads_read_at = now
            if stage.engine == "operator":
                await self._decide_and_scale(stage, depth, depth_error, now)
        except (TransientError, PermanentError) as error:
            await self._report_cannot_scale(stage, str(error))
            raise

    async def _report_cannot_scale(self, stage: StageObject, error: str) -> None:
        if stage.engine != "operator":
            return
        self._is_idle = False
        metrics.SCALING_BLOCKED.labels(*stage.labels).set(1)
        message = f"the processors cannot be scaled: {error}"
        self.status.set(ConditionType.SCALING, "CannotScale", message, status=False, generation=stage.generation)
        try:
            await self.status.flush(self.context.kubernetes)
        except (TransientError, PermanentError) as status_error:
            logger.warning("the status cannot be written", extra={"action": "status", "error": str(status_error)})

    async def _decide_and_scale(
        self, stage: StageObject, depth: QueueDepth | None, depth_error: str, now: float
    ) -> None:
        workload = self._workloads.get(PROCESSOR)
        observed = await self.observer.observe(depth, depth_error, workload, self._memory)
        if workload is None:
            report_no_processor(self.status, stage, observed)
            return
        history = self.observer.history
        policy = effective_policy(
            stage.policy(),
            history.slots.of_newest_revision,
            self.context.settings.active_poll_seconds,
            history.start_times.expected_seconds,
        )
        self._policy = policy
        decision = self.context.decide(observed, policy, now)
        self._memory = decision.memory
        record_metrics(stage, observed, policy, decision, history.start_times.measured_seconds)
        if decision.replicas != workload.replicas:
            await self._scale(stage, observed, decision, workload)
            self._changed_at = now
        report_decision(self.status, stage, observed, decision, workload)

    async def _scale(self, stage: StageObject, observed: Observed, decision: Decision, workload: Workload) -> None:
        await scale_deployment(self.context.kubernetes, stage.ref, workload, decision.replicas, observed.tasks_by_pod)
        direction, reason = ("out", "ScaledOut") if decision.replicas > workload.replicas else ("in", "ScaledIn")
        metrics.SCALING_CHANGES.labels(*stage.labels, direction).inc()
        message = f"{workload.replicas} → {decision.replicas} processors: {decision.message}"
        await self.context.events.normal(stage.ref, reason, message)


def effective_policy(
    policy: Policy, slots: int | None, poll_seconds: float, pod_ready_seconds: float = ASSUMED_SECONDS
) -> Policy:
    """The Stage's policy with the slots that pods report and the start time that was measured.

    A stabilisation time below the poll interval would never pass, since the policy restarts it after every gap of that
    length. So it is raised to `MIN_POLLS_TO_STABILISE` poll intervals, unless it is zero.
    """
    seconds = policy.scale_in_stabilisation_seconds
    return replace(
        policy,
        slots_per_replica=slots or policy.slots_per_replica,
        pod_ready_seconds=pod_ready_seconds,
        scale_in_stabilisation_seconds=max(seconds, MIN_POLLS_TO_STABILISE * poll_seconds) if seconds else 0.0,
    )
