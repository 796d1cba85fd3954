"""A stage's work watched and its processors scaled: observe, decide, act, every few seconds."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from k8s.operator import metrics
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.api.workloads import PROCESSOR, Workload, read_workloads
from k8s.operator.context import Context
from k8s.operator.policy.poll_schedule import together
from k8s.operator.policy.types import Decision, Memory, Observed, Policy
from k8s.operator.scaling.apply import scale
from k8s.operator.scaling.observe import Depth, Observer, read_depth
from k8s.operator.scaling.pod_start_times import ASSUMED_SECONDS
from k8s.operator.scaling.queues import DEAD_LETTERS_SECONDS, BacklogAge, DeadLetters
from k8s.operator.scaling.report import measure, tell_decision, tell_hands_off, tell_no_processor
from services.common.errors import PermanentError, Transient

logger = logging.getLogger(__name__)

STARTS_FOR_SECONDS = 120.0
"""So long after a change pods are taken to be on their way; what is not ready by then may never be."""
AT_REST_SECONDS = 30.0
"""How old a look at the Deployments of a stage without work may be."""
LOOKS_TO_STABILISE = 3


@dataclass
class ScalingLoop:
    """One a stage."""

    context: Context
    status: StageStatus
    observer: Observer
    clock: Callable[[], float] = time.monotonic
    _memory: Memory = field(default_factory=Memory)
    _workloads: dict[str, Workload] = field(default_factory=dict)
    _backlog: BacklogAge = field(default_factory=BacklogAge)
    _dead_letters: DeadLetters = field(default_factory=DeadLetters)
    _read_at: float = float("-inf")
    _changed_at: float = float("-inf")
    _generation: int | None = None
    _at_rest: bool = False
    _policy: Policy | None = None
    _queue_error: str = ""

    @property
    def queue_error(self) -> str:
        """Why the queue could not be read the last time; empty where it could, or was not."""
        return self._queue_error

    async def turn(self, stage: StageObject, queue_url: str) -> float:
        """One look, and what follows from it. Seconds until the next. Raises what Kubernetes' client does."""
        operated = stage.engine == "operator"
        depth, why_not = await self._depth(queue_url) if operated else (None, "")
        self._queue_error = why_not
        now = self.clock()
        if stage.generation != self._generation:
            self._generation, self._changed_at = stage.generation, now
        has_no_work = (depth is not None and depth.is_empty) or not operated
        if operated:
            self._backlog.see(stage.labels, depth, now)
        await self._count_dead_letters(stage, now, has_no_work=has_no_work)
        if not (has_no_work and self._at_rest and now - self._read_at < AT_REST_SECONDS):
            await self._look(stage, depth, why_not, now)
        if not operated:
            self._backlog = BacklogAge()
            tell_hands_off(self.status, stage, self._workloads.get(PROCESSOR))
        self._at_rest = has_no_work and self._has_settled(now, operated=operated)
        await self.status.flush(self.context.kubernetes)
        return self._pause()

    def look_again(self) -> None:
        """Do not rely on what was seen before."""
        self._at_rest = False

    def _pause(self) -> float:
        settings = self.context.settings
        return together(settings.idle_poll_seconds, self.clock()) if self._at_rest else settings.active_poll_seconds

    def _has_settled(self, now: float, *, operated: bool) -> bool:
        """Whether nothing is left to be decided or soon to be told, if there is no work."""
        processor = self._workloads.get(PROCESSOR)
        if processor is None or not operated:
            return True
        smallest = self._policy.min_replicas if self._policy else 0
        is_awaited = processor.ready != processor.replicas and now - self._changed_at < STARTS_FOR_SECONDS
        return processor.replicas == smallest and not is_awaited

    async def _depth(self, queue_url: str) -> tuple[Depth | None, str]:
        try:
            return await read_depth(self.context.sqs, queue_url), ""
        except (Transient, PermanentError) as error:
            return None, str(error)

    async def _count_dead_letters(self, stage: StageObject, now: float, *, has_no_work: bool) -> None:
        if url := self.status.dead_letter_queue_url:
            every = max(DEAD_LETTERS_SECONDS, self.context.settings.resync_seconds if has_no_work else 0.0)
            await self._dead_letters.look(self.context.sqs, url, stage.labels, every_seconds=every, now=now)

    async def _look(self, stage: StageObject, depth: Depth | None, why_not: str, now: float) -> None:
        try:
            self._workloads = await read_workloads(self.context.kubernetes, stage.ref)
            self._read_at = now
            if stage.engine == "operator":
                await self._scale(stage, depth, why_not, now)
        except (Transient, PermanentError) as error:
            await self._cannot(stage, str(error))
            raise

    async def _cannot(self, stage: StageObject, why: str) -> None:
        """Say that what was decided, or would have been, is not done."""
        if stage.engine != "operator":
            return
        self._at_rest = False
        metrics.SCALING_BLOCKED.labels(*stage.labels).set(1)
        message = f"the processors cannot be scaled: {why}"
        self.status.set(ConditionType.SCALING, "CannotScale", message, status=False, generation=stage.generation)
        try:
            await self.status.flush(self.context.kubernetes)
        except (Transient, PermanentError) as error:
            logger.warning("the status cannot be written", extra={"action": "status", "error": str(error)})

    async def _scale(self, stage: StageObject, depth: Depth | None, why_not: str, now: float) -> None:
        workload = self._workloads.get(PROCESSOR)
        observed = await self.observer.observe(depth, why_not, workload, self._memory)
        if workload is None:
            tell_no_processor(self.status, stage, observed)
            return
        work, poll_seconds = self.observer.work, self.context.settings.active_poll_seconds
        policy = policy_in_force(stage.policy(), work.slots.of_current_revision, poll_seconds, work.starts.seconds)
        self._policy = policy
        decision = self.context.decide(observed, policy, now)
        self._memory = decision.memory
        measure(stage, observed, policy, decision, work.starts.measured)
        if decision.replicas != workload.replicas:
            await self._act(stage, observed, decision, workload)
            self._changed_at = now
        tell_decision(self.status, stage, observed, decision, workload)

    async def _act(self, stage: StageObject, observed: Observed, decision: Decision, workload: Workload) -> None:
        await scale(self.context.kubernetes, stage.ref, workload, decision.replicas, observed.in_flight_by_pod)
        direction = "out" if decision.replicas > workload.replicas else "in"
        metrics.SCALING_CHANGES.labels(*stage.labels, direction).inc()
        message = f"{workload.replicas} → {decision.replicas} processors: {decision.message}"
        await self.context.events.normal(stage.ref, f"Scaled{direction.capitalize()}", message)


def policy_in_force(
    policy: Policy, slots: int | None, poll_seconds: float, pod_ready_seconds: float = ASSUMED_SECONDS
) -> Policy:
    """What the owner asks for, with the slots that the current revision has and the time that its pods take to start.

    A time of stabilisation below that between looks would never be seen to pass: the policy takes a gap as long as it
    for not having looked, and begins anew.
    """
    asked = policy.scale_in_stabilisation_seconds
    return replace(
        policy,
        slots_per_replica=slots or policy.slots_per_replica,
        pod_ready_seconds=pod_ready_seconds,
        scale_in_stabilisation_seconds=max(asked, LOOKS_TO_STABILISE * poll_seconds) if asked else 0.0,
    )
