"""Which reason a decision has."""

from dataclasses import dataclass

from k8s.operator.policy.demand import Demand
from k8s.operator.policy.types import Policy, Reason


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


def reason_for(candidates: Candidates) -> Reason:
    """Which of the counts decided."""
    needed, replicas = candidates.demand.replicas, candidates.replicas
    if needed > replicas or replicas > max(needed, candidates.stabilised, candidates.busy):
        return Reason.BOUNDS
    if replicas > candidates.current:
        return _reason_for_more(candidates)
    if replicas < candidates.current:
        return Reason.FEWER_NEEDED
    if replicas == needed:
        return Reason.STEADY
    return Reason.TASKS_IN_FLIGHT if replicas == candidates.busy else Reason.STABILISING


def _reason_for_more(candidates: Candidates) -> Reason:
    if not candidates.current:
        return Reason.FROM_ZERO
    demand = candidates.demand
    return Reason.ARRIVAL_RATE if demand.for_arrivals >= demand.for_backlog else Reason.BACKLOG
