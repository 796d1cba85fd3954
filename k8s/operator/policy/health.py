"""A processor that is broken: more of it would not help, and what was asked for before it showed does not stay."""

from k8s.operator.policy.demand import busy_replicas, ready_and_receiving
from k8s.operator.policy.types import Figure, Memory, Observed, Policy, Reason, Trouble

REMEMBER_LONG_TASKS_SECONDS = 3600.0
"""So long after a task that outlasted a drain, those in hand are taken to be able to as well."""


def trouble_of(observed: Observed, policy: Policy, now: float) -> Trouble | None:
    """What is seen now, or else remembered.

    Tasks that fail come back after a while, longer than the window that is looked at: only one that ends well is proof.
    Pods that crash look well for a moment after each start: they have to stay so for the time of stabilisation. What
    could not start has done so once a processor is ready; receiving is paused until one of those that were paused
    receives, and all others do, or most receive for that time; one that does not answer proves nothing.
    """
    if seen := _seen(observed, now):
        return seen
    before = observed.memory.trouble
    if before is None:
        return None
    if before.reason is Reason.FAILING:
        return None if observed.succeeding else before
    if before.reason is Reason.RECEIVING_PAUSED and Figure.TASKS in observed.unreadable:
        return before
    is_over = {
        Reason.CANNOT_START: True,
        Reason.RECEIVING_PAUSED: not observed.cannot_receive and not before.pods.isdisjoint(observed.in_flight_by_pod),
    }.get(before.reason, False)
    is_over = is_over or now - before.seen_at >= policy.scale_in_stabilisation_seconds
    return None if is_over and ready_and_receiving(observed) else before


def _seen(observed: Observed, now: float) -> Trouble | None:
    if observed.crash_looping:
        return Trouble(Reason.CRASH_LOOP, now)
    if observed.cannot_start:
        return Trouble(Reason.CANNOT_START, now, observed.cannot_start)
    if observed.receives_nothing:
        return Trouble(Reason.RECEIVING_PAUSED, now, observed.receives_nothing, pods=frozenset(observed.cannot_receive))
    return Trouble(Reason.FAILING, now) if observed.failing else None


def most_in(trouble: Trouble, observed: Observed, now: float) -> int:
    """Replicas that may stay, or come to find out whether the processor still is broken: at least one.

    Of pods that crash or cannot start, those that are ready or have tasks in hand. Where none receives tasks, those
    with tasks in hand. Where every task fails, those that would have to cut a task off.
    """
    there_are = observed.replicas_desired or 0
    if observed.busy_unready:
        return max(1, there_are)
    busy = busy_replicas(observed)
    if trouble.reason in (Reason.CRASH_LOOP, Reason.CANNOT_START):
        kept = max(busy, observed.replicas_ready or 0)
    elif trouble.reason is Reason.RECEIVING_PAUSED:
        kept = busy
    else:
        kept = 0 if drain_suffices(observed, observed.memory, now) else busy
    return max(1, min(kept, there_are))


def drain_suffices(observed: Observed, memory: Memory, now: float) -> bool:
    """Whether whatever is in hand would end while its pod is drained, going by the tasks that ended lately."""
    outlasted_at = memory.outlasted_at
    lately = outlasted_at is not None and now - outlasted_at < REMEMBER_LONG_TASKS_SECONDS
    return observed.outlasting is False and not lately
