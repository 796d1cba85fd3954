"""A decision told: in the Stage's status and in the operator's series."""

import logging

from k8s.operator import metrics
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus, now_text
from k8s.operator.api.workloads import Workload
from k8s.operator.policy.types import Decision, Observed, Policy, Reason
from k8s.operator.scaling.queues import UNKNOWN

logger = logging.getLogger(__name__)

HANDS_OFF = {
    "keda": "KEDA decides (scaling.engine: keda)",
    "none": "somebody else decides (scaling.engine: none)",
}


def tell_decision(
    status: StageStatus, stage: StageObject, seen: Observed, decision: Decision, workload: Workload
) -> None:
    """Set the condition Scaling and the figures."""
    status.set_scaling(
        backlog=seen.visible,
        inFlight=seen.in_flight,
        wait=f"{seen.wait_seconds:.1f}s" if seen.wait_seconds is not None else None,
        replicas=decision.replicas,
        readyReplicas=workload.ready,
    )
    reason = decision.reason if decision.hold else "Operating"
    # Figures change with every look; a condition changes when what it says does.
    message = decision.message if decision.hold else "the wait objective decides how many processors there are"
    old = status.condition(ConditionType.SCALING)
    was_held = old is not None and old.status is False
    if decision.hold and old is not None and old.reason == decision.reason and decision.cause in old.message:
        message = old.message
    status.set(ConditionType.SCALING, reason, message, status=not decision.hold, generation=stage.generation)
    hold_begins_or_ends = (old is None or old.reason != reason) if decision.hold else was_held
    if decision.replicas != workload.replicas or hold_begins_or_ends:
        told = {"replicas": decision.replicas, "reason": decision.reason.value, "message": decision.message}
        status.set_scaling(decision={**told, "time": now_text()})


def tell_no_processor(status: StageStatus, stage: StageObject, seen: Observed) -> None:
    """Say that there is nothing to scale, and leave nothing standing of what was decided before."""
    message = f"there is no Deployment {stage.ref.name}-processor to scale"
    if status.set(ConditionType.SCALING, "NoProcessor", message, status=False, generation=stage.generation):
        metrics.remove_scaling_series(*stage.labels)
    metrics.VISIBLE.labels(*stage.labels).set(UNKNOWN if seen.visible is None else seen.visible)
    metrics.IN_FLIGHT.labels(*stage.labels).set(UNKNOWN if seen.in_flight is None else seen.in_flight)
    status.set_scaling(
        backlog=seen.visible, inFlight=seen.in_flight, wait=None, decision=None, replicas=0, readyReplicas=0
    )


def tell_hands_off(status: StageStatus, stage: StageObject, processor: Workload | None) -> None:
    """Say that somebody else decides."""
    if status.set(
        ConditionType.SCALING, "HandsOff", HANDS_OFF[stage.engine], status=False, generation=stage.generation
    ):
        metrics.remove_scaling_series(*stage.labels)
    status.set_scaling(
        backlog=None,
        inFlight=None,
        wait=None,
        decision=None,
        replicas=processor.replicas if processor else 0,
        readyReplicas=processor.ready if processor else 0,
    )


def measure(
    stage: StageObject, seen: Observed, policy: Policy, decision: Decision, pod_ready_seconds: float | None
) -> None:
    """Have the dashboard show what was seen and what was made of it."""
    labels = stage.labels
    for gauge, value in (
        (metrics.VISIBLE, seen.visible),
        (metrics.IN_FLIGHT, seen.in_flight),
        (metrics.ARRIVALS, seen.arrivals_per_second),
        (metrics.TASK_SECONDS, seen.task_seconds),
        (metrics.WAIT_SECONDS, seen.wait_seconds),
        (metrics.REPLICAS, seen.replicas_desired),
        (metrics.REPLICAS_READY, seen.replicas_ready),
        (metrics.POD_READY_SECONDS, pod_ready_seconds),
    ):
        gauge.labels(*labels).set(UNKNOWN if value is None else value)
    metrics.WAIT_OBJECTIVE.labels(*labels).set(policy.wait_objective_seconds)
    metrics.REPLICAS_DESIRED.labels(*labels).set(decision.replicas)
    metrics.SCALING_BLOCKED.labels(*labels).set(1 if decision.hold else 0)
    metrics.DECISIONS.labels(*labels, decision.reason.value).inc()
    if decision.reason is not Reason.STEADY:
        logger.debug(decision.message, extra={"action": "scale", "reason": decision.reason.value})
