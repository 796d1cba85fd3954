"""The rule of scaling, as a pure function. docs/scaling.md says why it is as it is."""

from dataclasses import replace

from k8s.operator.policy.demand import Demand, busy_replicas, demand, in_flight_replicas, replicas_for
from k8s.operator.policy.explain import Case, explain, unreadable
from k8s.operator.policy.health import drain_suffices, most_in, trouble_of
from k8s.operator.policy.reasons import Bounds, Weighed, reason_for
from k8s.operator.policy.stabilise import PATIENCE, most_wanted, remember
from k8s.operator.policy.types import Decision, Figure, Memory, Observed, Policy, Reason


def desired_replicas(observed: Observed, policy: Policy, now: float) -> Decision:
    """Decide how many replicas a stage's processor should have at `now`.

    With the queue or the replicas unread, nothing changes. With only arrivals or tasks unread, none go, and more come
    only if the queue, which was read, shows that they are needed: else one pod that does not answer would keep a stage
    at zero. A broken processor gets one replica at most, and loses what it was given before that showed.
    """
    if not observed.unreadable.keys().isdisjoint((Figure.BACKLOG, Figure.REPLICAS)):
        return _hold(Reason.UNREADABLE, observed, policy, now, None)
    there_are = observed.replicas_desired or 0
    wanted = demand(observed, policy, _task_seconds(observed, policy))
    if observed.unreadable and wanted.replicas <= there_are:
        return _hold(Reason.UNREADABLE, observed, policy, now, wanted)
    decision = _decide(observed, policy, now, wanted)
    trouble = trouble_of(observed, policy, now)
    if trouble is None:
        return decision
    most = max(1, there_are) if observed.unreadable else most_in(trouble, observed, now)
    if decision.replicas <= Bounds.of(policy).clamp(most):
        return decision
    return _held_at(most, trouble.reason, observed, policy, now, wanted, trouble.cause)


def _decide(observed: Observed, policy: Policy, now: float, wanted: Demand) -> Decision:
    bounds = Bounds.of(policy)
    there_are = observed.replicas_desired or 0
    memory = remember(observed, policy, now, bounds.clamp(wanted.replicas))
    weighed = Weighed(
        there_are=there_are,
        wanted=wanted,
        stabilised=min(there_are, most_wanted(memory, now - policy.scale_in_stabilisation_seconds)),
        in_flight=min(there_are, _in_hand(observed, policy, memory, now)),
        bounds=bounds,
    )
    reason = reason_for(weighed)
    message = explain(reason, Case(observed, policy, weighed.replicas, wanted))
    return Decision(replicas=weighed.replicas, reason=reason, message=message, memory=memory)


def _in_hand(observed: Observed, policy: Policy, memory: Memory, now: float) -> int:
    """Replicas that must stay for the sake of tasks: the busy ones, and always enough for all in flight.

    Where a busy pod that is not ready would go first, all of them.
    """
    if observed.busy_unready:
        return observed.replicas_desired or 0
    busy = busy_replicas(observed)
    if drain_suffices(observed, memory, now):
        busy = min(busy, most_wanted(memory, now - PATIENCE * policy.scale_in_stabilisation_seconds))
    return replicas_for(max(in_flight_replicas(observed, policy), busy), observed, policy)


def _hold(reason: Reason, observed: Observed, policy: Policy, now: float, wanted: Demand | None) -> Decision:
    """Keep what there is, within bounds: a person who lowers the maximum is obeyed though nothing can be read."""
    there_are = observed.replicas_desired
    if there_are is None:
        there_are = max((past.replicas for past in observed.memory.recommendations), default=0)
    elif Bounds.of(policy).clamp(there_are) != there_are:
        return replace(_held_at(there_are, Reason.BOUNDS, observed, policy, now, wanted), hold=False)
    return replace(_held_at(there_are, reason, observed, policy, now, wanted), cause=unreadable(observed))


def _held_at(
    replicas: int,
    reason: Reason,
    observed: Observed,
    policy: Policy,
    now: float,
    wanted: Demand | None,
    cause: str = "",
) -> Decision:
    """It counts as wanted: who saw too little has no grounds to let replicas go soon after."""
    replicas = Bounds.of(policy).clamp(replicas)
    return Decision(
        replicas=replicas,
        reason=reason,
        message=explain(reason, Case(observed, policy, replicas, wanted, cause)),
        hold=True,
        cause=cause,
        memory=remember(observed, policy, now, replicas),
    )


def _task_seconds(observed: Observed, policy: Policy) -> float:
    """What is measured, else what was, else what is assumed."""
    for known in (observed.task_seconds, observed.memory.task_seconds):
        if known is not None:
            return known
    return policy.assumed_task_seconds
