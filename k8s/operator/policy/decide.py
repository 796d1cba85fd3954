"""The scaling rule. docs/explanation/scaling.md explains it."""

from dataclasses import replace

from k8s.operator.policy.demand import Demand, busy_replicas, deployment_size, estimate_demand, packed_replicas
from k8s.operator.policy.explain import Explained, explain, explain_unreadable
from k8s.operator.policy.health import current_fault, drain_is_long_enough, max_replicas_during
from k8s.operator.policy.reasons import Bounds, Candidates, reason_for
from k8s.operator.policy.stabilise import BUSY_STABILISATION_PERIODS, max_recommended, updated_memory
from k8s.operator.policy.types import Decision, Memory, Observed, Policy, ScalingReason, Source


def desired_replicas(observed: Observed, policy: Policy, now: float) -> Decision:
    """Decide how many replicas a stage's processor should have at `now`.

    - The queue or Kubernetes could not be read: the replicas stay.
    - Only ingest or the processor could not be read: no replica is removed, and some are added only if the queue alone
      shows that they are needed. Otherwise one pod that does not answer would keep a stage at zero.
    - The processor has a fault: no replica is added beyond the first, and at most `max_replicas_during` of the current
      ones stay.
    """
    if not observed.unreadable.keys().isdisjoint((Source.QUEUE, Source.KUBERNETES)):
        return _keep_current(observed, policy, now, None)
    current = observed.replicas_desired or 0
    demand = estimate_demand(observed, policy, _task_seconds(observed, policy))
    if observed.unreadable and demand.replicas <= current:
        return _keep_current(observed, policy, now, demand)
    decision = _decide(observed, policy, now, demand)
    fault = current_fault(observed, policy, now)
    if fault is None:
        return decision
    limit = max(1, current) if observed.unreadable else max_replicas_during(fault, observed, now)
    if decision.replicas <= Bounds.of(policy).clamp(limit):
        return decision
    return _blocked_at(limit, fault.reason, observed, policy, now, demand, fault.cause)


def _decide(observed: Observed, policy: Policy, now: float, demand: Demand) -> Decision:
    bounds = Bounds.of(policy)
    current = observed.replicas_desired or 0
    memory = updated_memory(observed, policy, now, bounds.clamp(demand.replicas))
    candidates = Candidates(
        current=current,
        demand=demand,
        stabilised=min(current, max_recommended(memory, now - policy.scale_in_stabilisation_seconds)),
        busy=min(current, _replicas_with_tasks(observed, policy, memory, now)),
        bounds=bounds,
    )
    reason = reason_for(candidates)
    message = explain(reason, Explained(observed, policy, candidates.replicas, demand))
    return Decision(replicas=candidates.replicas, reason=reason, message=message, memory=memory)


def _replicas_with_tasks(observed: Observed, policy: Policy, memory: Memory, now: float) -> int:
    """Replicas that must stay for their tasks: the busy ones, and never fewer than all tasks in flight need.

    All replicas stay while a busy pod is not ready, since Kubernetes would remove that pod first.
    """
    if observed.busy_unready:
        return observed.replicas_desired or 0
    busy = busy_replicas(observed)
    if drain_is_long_enough(observed, memory, now):
        since = now - BUSY_STABILISATION_PERIODS * policy.scale_in_stabilisation_seconds
        busy = min(busy, max_recommended(memory, since))
    return deployment_size(max(packed_replicas(observed, policy), busy), observed, policy)


def _keep_current(observed: Observed, policy: Policy, now: float, demand: Demand | None) -> Decision:
    """Keep the current replicas within the bounds. A lowered maxReplicas applies although nothing could be read."""
    current = observed.replicas_desired
    if current is None:
        current = max((past.replicas for past in observed.memory.recommendations), default=0)
    elif Bounds.of(policy).clamp(current) != current:
        return replace(_blocked_at(current, ScalingReason.BOUNDS, observed, policy, now, demand), blocked=False)
    decision = _blocked_at(current, ScalingReason.UNREADABLE, observed, policy, now, demand)
    return replace(decision, cause=explain_unreadable(observed))


def _blocked_at(
    replicas: int,
    reason: ScalingReason,
    observed: Observed,
    policy: Policy,
    now: float,
    demand: Demand | None,
    cause: str = "",
) -> Decision:
    """The replicas count as needed, so a full stabilisation time follows before any is removed."""
    replicas = Bounds.of(policy).clamp(replicas)
    return Decision(
        replicas=replicas,
        reason=reason,
        message=explain(reason, Explained(observed, policy, replicas, demand, cause)),
        blocked=True,
        cause=cause,
        memory=updated_memory(observed, policy, now, replicas),
    )


def _task_seconds(observed: Observed, policy: Policy) -> float:
    """The measured mean, else the latest measured one, else the assumed one."""
    for known in (observed.task_seconds, observed.memory.task_seconds):
        if known is not None:
            return known
    return policy.assumed_task_seconds
