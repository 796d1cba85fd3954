"""Memory of what was wanted, so that replicas go only when fewer have sufficed for a while."""

from k8s.operator.scaling.types import Memory, Observed, Policy, Recommendation


def remember(observed: Observed, policy: Policy, now: float, wanted: int) -> Memory:
    """Add what is wanted now.

    Where nothing is remembered (a start, a long pause), what there is counts as wanted. What was wanted before, and
    was no more than this, can never again decide: it is dropped, which keeps the memory small.
    """
    before = observed.memory
    oldest = now - policy.scale_in_stabilisation_seconds
    kept = [past for past in before.recommendations if past.at > oldest]
    if not kept and policy.scale_in_stabilisation_seconds > 0:
        kept = [Recommendation(now, observed.replicas_desired or 0)]
    kept = [past for past in kept if past.replicas > wanted]
    return Memory(
        recommendations=(*kept, Recommendation(now, wanted)),
        task_seconds=before.task_seconds if observed.task_seconds is None else observed.task_seconds,
    )


def most_wanted(memory: Memory) -> int:
    """The most that was wanted within the stabilisation time."""
    return max(past.replicas for past in memory.recommendations)
