"""Reports a decision in the Stage's status and in the operator's metrics."""

import logging

from k8s.operator import metrics
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus, now_text
from k8s.operator.api.workloads import Workload
from k8s.operator.policy.types import Decision, Observed, Policy, ScalingReason
from k8s.operator.scaling.queues import UNKNOWN

logger = logging.getLogger(__name__)

EXTERNAL_SCALING = {
    "keda": "KEDA scales the processor (scaling.engine: keda)",
    "none": "the operator does not scale the processor (scaling.engine: none)",
}


def report_decision(
    status: StageStatus, stage: StageObject, observed: Observed, decision: Decision, workload: Workload
) -> None:
    """Set the condition `Scaling` and `status.scaling`."""
    status.set_scaling(
        backlog=observed.backlog,
        inFlight=observed.in_flight,
        wait=f"{observed.wait_seconds:.1f}s" if observed.wait_seconds is not None else None,
        replicas=decision.replicas,
        readyReplicas=workload.ready,
    )
    reason = decision.reason if decision.blocked else "Operating"
    message = decision.message if decision.blocked else "the wait objective decides the number of processors"
    old = status.condition(ConditionType.SCALING)
    was_blocked = old is not None and old.status is False
    # The values in a message change with every poll. The condition changes only with its reason or cause.
    if decision.blocked and old is not None and old.reason == decision.reason and decision.cause in old.message:
        message = old.message
    status.set(ConditionType.SCALING, reason, message, status=not decision.blocked, generation=stage.generation)
    block_begins_or_ends = (old is None or old.reason != reason) if decision.blocked else was_blocked
    if decision.replicas != workload.replicas or block_begins_or_ends:
        reported = {"replicas": decision.replicas, "reason": decision.reason.value, "message": decision.message}
        status.set_scaling(decision={**reported, "time": now_text()})


def report_no_processor(status: StageStatus, stage: StageObject, observed: Observed) -> None:
    """Say that there is no Deployment to scale, and clear earlier decisions."""
    message = f"there is no Deployment {stage.ref.name}-processor to scale"
    if status.set(ConditionType.SCALING, "NoProcessor", message, status=False, generation=stage.generation):
        metrics.remove_scaling_series(*stage.labels)
    metrics.VISIBLE.labels(*stage.labels).set(UNKNOWN if observed.backlog is None else observed.backlog)
    metrics.IN_FLIGHT.labels(*stage.labels).set(UNKNOWN if observed.in_flight is None else observed.in_flight)
    status.set_scaling(
        backlog=observed.backlog, inFlight=observed.in_flight, wait=None, decision=None, replicas=0, readyReplicas=0
    )


def report_external_scaling(status: StageStatus, stage: StageObject, processor: Workload | None) -> None:
    """Say that the operator does not scale this stage, and clear earlier decisions."""
    message = EXTERNAL_SCALING[stage.engine]
    if status.set(ConditionType.SCALING, "ExternalScaling", message, status=False, generation=stage.generation):
        metrics.remove_scaling_series(*stage.labels)
    status.set_scaling(
        backlog=None,
        inFlight=None,
        wait=None,
        decision=None,
        replicas=processor.replicas if processor else 0,
        readyReplicas=processor.ready if processor else 0,
    )


def record_metrics(
    stage: StageObject, observed: Observed, policy: Policy, decision: Decision, pod_ready_seconds: float | None
) -> None:
    """Export what was observed and what was decided."""
    labels = stage.labels
    for gauge, value in (
        (metrics.VISIBLE, observed.backlog),
        (metrics.IN_FLIGHT, observed.in_flight),
        (metrics.ARRIVALS, observed.arrivals_per_second),
        (metrics.TASK_SECONDS, observed.task_seconds),
        (metrics.WAIT_SECONDS, observed.wait_seconds),
        (metrics.REPLICAS, observed.replicas_desired),
        (metrics.REPLICAS_READY, observed.replicas_ready),
        (metrics.POD_READY_SECONDS, pod_ready_seconds),
    ):
        gauge.labels(*labels).set(UNKNOWN if value is None else value)
    metrics.WAIT_OBJECTIVE.labels(*labels).set(policy.wait_objective_seconds)
    metrics.REPLICAS_DESIRED.labels(*labels).set(decision.replicas)
    metrics.SCALING_BLOCKED.labels(*labels).set(1 if decision.blocked else 0)
    metrics.DECISIONS.labels(*labels, decision.reason.value).inc()
    if decision.reason is not ScalingReason.STEADY:
        logger.debug(decision.message, extra={"action": "scale", "reason": decision.reason.value})
