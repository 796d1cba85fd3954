"""Which reason a decision has."""

from dataclasses import dataclass

from k8s.operator.policy.demand import Demand
from k8s.operator.policy.types import Policy, Reason


@dataclass(frozen=True, slots=True)
class Bounds:
    """minReplicas and maxReplicas; the former wins where they contradict each other."""

    least: int
    most: int

    @classmethod
    def of(cls, policy: Policy) -> "Bounds":
        return cls(policy.min_replicas, max(policy.min_replicas, policy.max_replicas))

    def clamp(self, replicas: int) -> int:
        return min(max(replicas, self.least), self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What was weighed against each other, in replicas."""

    there_are: int
    wanted: Demand
    stabilised: int
    """Those that stay because so many were wanted not long ago."""
    in_flight: int
    """Those that stay because of tasks in hand."""
    bounds: Bounds

    @property
    def replicas(self) -> int:
        """The decision."""
        return self.bounds.clamp(max(self.wanted.replicas, self.stabilised, self.in_flight))


def reason_for(weighed: Weighed) -> Reason:
    """Tell which of them decided."""
    wanted, replicas = weighed.wanted.replicas, weighed.replicas
    if wanted > replicas or replicas > max(wanted, weighed.stabilised, weighed.in_flight):
        return Reason.BOUNDS
    if replicas > weighed.there_are:
        return _reason_for_more(weighed)
    if replicas < weighed.there_are:
        return Reason.IDLE
    if replicas == wanted:
        return Reason.STEADY
    return Reason.IN_FLIGHT if replicas == weighed.in_flight else Reason.STABILISING


def _reason_for_more(weighed: Weighed) -> Reason:
    if not weighed.there_are:
        return Reason.FIRST_MESSAGE
    return Reason.ARRIVALS if weighed.wanted.arrivals >= weighed.wanted.backlog else Reason.BACKLOG
