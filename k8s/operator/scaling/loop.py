"""A stage's work watched and its processors scaled: observe, decide, act, every few seconds."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from k8s.operator import metrics
from k8s.operator.scaling.act import scale
from k8s.operator.scaling.observe import Depth, Observer, read_depth
from k8s.operator.scaling.types import Decision, Memory, Observed, Policy, Reason
from k8s.operator.stage_object import StageObject
from k8s.operator.status import Kind, StageStatus, now_text
from k8s.operator.tools import Tools
from k8s.operator.workloads import PROCESSOR, Workload, read_workloads
from services.common.errors import PermanentError, Transient

logger = logging.getLogger(__name__)

STARTING_SECONDS = 1.0
AT_REST_SECONDS = 30.0
"""How old a look at the Deployments of a stage without work may be."""
LOOKS_TO_STABILISE = 3
EARLY_SHARE = 0.05
HANDS_OFF = {
    "keda": "KEDA decides (scaling.engine: keda)",
    "none": "somebody else decides (scaling.engine: none)",
}


@dataclass
class ScalingLoop:
    """One a stage."""

    tools: Tools
    status: StageStatus
    observer: Observer
    clock: Callable[[], float] = time.monotonic
    _memory: Memory = field(default_factory=Memory)
    _workloads: dict[str, Workload] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _at_rest: bool = False

    async def turn(self, stage: StageObject, queue_url: str) -> float:
        """One look, and what follows from it. Seconds until the next. Raises what Kubernetes' client does."""
        operated = stage.engine == "operator"
        depth, why_not = await self._depth(queue_url) if operated else (None, "")
        at_rest = (depth is not None and depth.is_empty) or not operated
        now = self.clock()
        if not (at_rest and self._at_rest and now - self._read_at < AT_REST_SECONDS):
            self._workloads = await read_workloads(self.tools.kubernetes, stage.ref)
            self._read_at = now
            await self._tell_ready(stage)
            if operated:
                await self._scale(stage, depth, why_not)
        is_ready = self.status.is_(Kind.READY, status=True)
        if not operated:
            self._hands_off(stage)
        self._at_rest = at_rest and is_ready and self._has_settled()
        await self.status.flush(self.tools.kubernetes)
        if not is_ready:
            return STARTING_SECONDS
        settings = self.tools.settings
        return together(settings.idle_poll_seconds, self.clock()) if self._at_rest else settings.active_poll_seconds

    def look_again(self) -> None:
        """Do not rely on what was seen before."""
        self._at_rest = False

    def _has_settled(self) -> bool:
        """Whether a stage without work is as small as it gets, so that nothing is left to be decided."""
        processor = self._workloads.get(PROCESSOR)
        return processor is None or processor.replicas == processor.ready == self._smallest

    @property
    def _smallest(self) -> int:
        return self._policy.min_replicas if self._policy else 0

    _policy: Policy | None = None

    async def _depth(self, queue_url: str) -> tuple[Depth | None, str]:
        try:
            return await read_depth(self.tools.sqs, queue_url), ""
        except (Transient, PermanentError) as error:
            return None, str(error)

    async def _scale(self, stage: StageObject, depth: Depth | None, why_not: str) -> None:
        workload = self._workloads.get(PROCESSOR)
        observed = await self.observer.observe(depth, why_not, workload, self._memory)
        if workload is None:
            message = f"there is no Deployment {stage.ref.name}-processor to scale"
            self.status.set(Kind.SCALING, "NoProcessor", message, status=False, generation=stage.generation)
            self.status.set_scaling(backlog=observed.visible, inFlight=observed.in_flight, replicas=0, readyReplicas=0)
            return
        poll_seconds = self.tools.settings.active_poll_seconds
        policy = policy_in_force(stage.policy(), self.observer.work.slots, poll_seconds)
        self._policy = policy
        decision = self.tools.decide(observed, policy, self.clock())
        self._memory = decision.memory
        _measure(stage, observed, policy, decision)
        self._tell_scaling(stage, observed, decision, workload)
        if decision.replicas != workload.replicas:
            await self._act(stage, observed, decision, workload)

    async def _act(self, stage: StageObject, observed: Observed, decision: Decision, workload: Workload) -> None:
        await scale(self.tools.kubernetes, stage.ref, workload, decision.replicas, observed.in_flight_by_pod)
        direction = "out" if decision.replicas > workload.replicas else "in"
        metrics.SCALED.labels(*stage.labels, direction).inc()
        message = f"{workload.replicas} → {decision.replicas} processors: {decision.message}"
        await self.tools.events.normal(stage.ref, f"Scaled{direction.capitalize()}", message)

    def _tell_scaling(self, stage: StageObject, seen: Observed, decision: Decision, workload: Workload) -> None:
        self.status.set_scaling(
            backlog=seen.visible,
            inFlight=seen.in_flight,
            wait=f"{seen.wait_seconds:.1f}s" if seen.wait_seconds is not None else None,
            replicas=decision.replicas,
            readyReplicas=workload.ready,
        )
        reason = decision.reason if decision.hold else "Operating"
        # Figures change with every look; a condition changes when what it says does.
        message = decision.message if decision.hold else "the wait objective decides how many processors there are"
        old = self.status.condition(Kind.SCALING)
        was_held = old is not None and old.status is False
        if decision.hold and old is not None and old.reason == decision.reason:
            message = old.message
        self.status.set(Kind.SCALING, reason, message, status=not decision.hold, generation=stage.generation)
        hold_begins_or_ends = (old is None or old.reason != reason) if decision.hold else was_held
        if decision.replicas != workload.replicas or hold_begins_or_ends:
            told = {"replicas": decision.replicas, "reason": decision.reason.value, "message": decision.message}
            self.status.set_scaling(decision={**told, "time": now_text()})

    def _hands_off(self, stage: StageObject) -> None:
        message = HANDS_OFF[stage.engine]
        self.status.set(Kind.SCALING, "HandsOff", message, status=False, generation=stage.generation)
        processor = self._workloads.get(PROCESSOR)
        self.status.set_scaling(
            backlog=None,
            inFlight=None,
            wait=None,
            decision=None,
            replicas=processor.replicas if processor else 0,
            readyReplicas=processor.ready if processor else 0,
        )

    async def _tell_ready(self, stage: StageObject) -> None:
        late = sorted(one.name for kind, one in self._workloads.items() if kind != PROCESSOR and not one.available)
        was_ready = self.status.is_(Kind.READY, status=True)
        if late:
            reason, message = "WaitingForPods", f"no pods are available yet of {', '.join(late)}"
        else:
            reason, message = "Ready", "the stage takes tasks"
        is_new = self.status.set(Kind.READY, reason, message, status=not late, generation=stage.generation)
        if is_new and not late and not was_ready:
            seconds = (datetime.now(UTC) - stage.created_at).total_seconds()
            metrics.TIME_TO_READY.observe(seconds)
            await self.tools.events.normal(stage.ref, "Ready", message)
        elif is_new and late and was_ready:
            await self.tools.events.warning(stage.ref, reason, message)


def together(period_seconds: float, now: float) -> float:
    """Seconds until stages at rest are looked at next: all in the same moment, one such moment a period.

    A look that follows another finds the machine's caches warm and costs a third of one by itself.
    """
    remaining = period_seconds - now % period_seconds
    # Timers may fire a moment early, which is no reason to look twice.
    return remaining if remaining > period_seconds * EARLY_SHARE else remaining + period_seconds


def policy_in_force(policy: Policy, slots: int | None, poll_seconds: float) -> Policy:
    """What the owner asks for, with the slots that processors say they have.

    A time of stabilisation below that between looks would never be seen to pass: the policy takes a gap as long as it
    for not having looked, and begins anew.
    """
    asked = policy.scale_in_stabilisation_seconds
    return replace(
        policy,
        slots_per_replica=slots or policy.slots_per_replica,
        scale_in_stabilisation_seconds=max(asked, LOOKS_TO_STABILISE * poll_seconds) if asked else 0.0,
    )


def _measure(stage: StageObject, seen: Observed, policy: Policy, decision: Decision) -> None:
    labels = stage.labels
    for gauge, value in (
        (metrics.VISIBLE, seen.visible),
        (metrics.IN_FLIGHT, seen.in_flight),
        (metrics.ARRIVALS, seen.arrivals_per_second),
        (metrics.TASK_SECONDS, seen.task_seconds),
        (metrics.WAIT_SECONDS, seen.wait_seconds),
        (metrics.REPLICAS, seen.replicas_desired),
        (metrics.REPLICAS_READY, seen.replicas_ready),
    ):
        # What is not known is no number: zero would be a lie, and the last value would be one soon.
        gauge.labels(*labels).set(float("nan") if value is None else value)
    metrics.OBJECTIVE.labels(*labels).set(policy.wait_objective_seconds)
    metrics.DECIDED.labels(*labels).set(decision.replicas)
    metrics.HELD.labels(*labels).set(1 if decision.hold else 0)
    metrics.DECISIONS.labels(*labels, decision.reason.value).inc()
    if decision.reason is not Reason.STEADY:
        logger.debug(decision.message, extra={"action": "scale", "reason": decision.reason.value})
