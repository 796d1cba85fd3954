"""The memory of earlier recommendations, so that replicas are removed only if fewer have been enough for a while."""

from k8s.operator.policy.health import current_fault
from k8s.operator.policy.types import Memory, Observed, Policy, Recommendation

BUSY_STABILISATION_PERIODS = 5
"""How many stabilisation times a replica stays that is not needed but has tasks.

With more slots than tasks, replicas are idle at times and are removed then. Where a replica has so many slots that it
never is, the least busy are removed after this time, if their tasks end within the drain (`drain_is_long_enough`).
"""


def updated_memory(observed: Observed, policy: Policy, now: float, needed: int) -> Memory:
    """Add what is needed now.

    If there was no decision within the stabilisation time, the current replicas count as needed. Earlier
    recommendations that are no larger than this one can never decide again; dropping them keeps the memory small.
    """
    before, window = observed.memory, policy.scale_in_stabilisation_seconds
    kept = [past for past in before.recommendations if past.at > now - BUSY_STABILISATION_PERIODS * window]
    if window > 0 and (not kept or kept[-1].at <= now - window):
        kept = [Recommendation(now, observed.replicas_desired or 0)]
    kept = [past for past in kept if past.replicas > needed]
    return Memory(
        recommendations=(*kept, Recommendation(now, needed)),
        task_seconds=before.task_seconds if observed.task_seconds is None else observed.task_seconds,
        fault=current_fault(observed, policy, now),
        outlasted_drain_at=now if observed.tasks_outlast_drain else before.outlasted_drain_at,
    )


def max_recommended(memory: Memory, since: float) -> int:
    """The most replicas that were needed after `since`; the latest recommendation always counts."""
    return max(
        past.replicas for past in memory.recommendations if past.at > since or past is memory.recommendations[-1]
    )
