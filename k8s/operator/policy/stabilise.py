"""Memory of what was wanted, so that replicas go only when fewer have sufficed for a while."""

from k8s.operator.policy.health import trouble_of
from k8s.operator.policy.types import Memory, Observed, Policy, Recommendation

PATIENCE = 5
"""How many times the stabilisation time a replica that is not needed but has tasks in hand may stay.

As long as there are more slots than tasks, replicas are idle at times, and these go. Where so many slots share a
replica that it never is, something has to go in the end, if its tasks would end in the drain (`drain_suffices`).
"""


def remember(observed: Observed, policy: Policy, now: float, wanted: int) -> Memory:
    """Add what is wanted now.

    Where the last decision is too long ago, or there was none, what there is counts as wanted. What was wanted before,
    and was no more than this, can never again decide: it is dropped, which keeps the memory small.
    """
    before, window = observed.memory, policy.scale_in_stabilisation_seconds
    kept = [past for past in before.recommendations if past.at > now - PATIENCE * window]
    if window > 0 and (not kept or kept[-1].at <= now - window):
        kept = [Recommendation(now, observed.replicas_desired or 0)]
    kept = [past for past in kept if past.replicas > wanted]
    return Memory(
        recommendations=(*kept, Recommendation(now, wanted)),
        task_seconds=before.task_seconds if observed.task_seconds is None else observed.task_seconds,
        trouble=trouble_of(observed, policy, now),
        outlasted_at=now if observed.outlasting else before.outlasted_at,
    )


def most_wanted(memory: Memory, since: float) -> int:
    """The most that was wanted after `since`, and by the last decision."""
    return max(
        past.replicas for past in memory.recommendations if past.at > since or past is memory.recommendations[-1]
    )
