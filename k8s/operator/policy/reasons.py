"""Which reason a decision has."""

from dataclasses import dataclass

from k8s.operator.policy.demand import Demand
from k8s.operator.policy.types import Policy, ScalingReason


@dataclass(frozen=True, slots=True)
class Bounds:
    """minReplicas and maxReplicas. If they contradict each other, minReplicas wins."""

    minimum: int
    maximum: int

    @classmethod
    def of(cls, policy: Policy) -> "Bounds":
        return cls(policy.min_replicas, max(policy.min_replicas, policy.max_replicas))

    def clamp(self, replicas: int) -> int:
        return min(max(replicas, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The replica counts of which the largest is chosen, within the bounds."""

    current: int
    demand: Demand
    stabilised: int
    """Of the current replicas, those that were needed within the stabilisation time."""
    busy: int
    """Of the current replicas, those that stay for their tasks."""
    bounds: Bounds

    @property
    def replicas(self) -> int:
        """The decision."""
        return self.bounds.clamp(max(self.demand.replicas, self.stabilised, self.busy))


def reason_for(candidates: Candidates) -> ScalingReason:
    """Which of the counts decided."""
    needed, replicas = candidates.demand.replicas, candidates.replicas
    if needed > replicas or replicas > max(needed, candidates.stabilised, candidates.busy):
        return ScalingReason.BOUNDS
    if replicas > candidates.current:
        return _reason_for_more(candidates)
    if replicas < candidates.current:
        return ScalingReason.FEWER_NEEDED
    if replicas == needed:
        return ScalingReason.STEADY
    return ScalingReason.TASKS_IN_FLIGHT if replicas == candidates.busy else ScalingReason.STABILISING


def _reason_for_more(candidates: Candidates) -> ScalingReason:
    if not candidates.current:
        return ScalingReason.FROM_ZERO
    demand = candidates.demand
    return ScalingReason.ARRIVAL_RATE if demand.for_arrivals >= demand.for_backlog else ScalingReason.BACKLOG
