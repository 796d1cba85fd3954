"""A decision explained in one sentence, with the values that decided: for the Event, the log and the Stage's status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8s.operator.policy.demand import Demand
from k8s.operator.policy.types import Observed, Policy, ScalingReason, Source

_SOURCES = {
    Source.QUEUE: "the queue's depth",
    Source.KUBERNETES: "the replicas",
    Source.INGEST: "ingest's metrics",
    Source.PROCESSOR: "the processor's metrics",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """What an explanation is made of."""

    observed: Observed
    policy: Policy
    replicas: int
    """As decided."""
    demand: Demand | None
    """None if too little was read to estimate it."""
    cause: str = ""
    """If scaling is blocked: the processor's fault."""

    @property
    def needed(self) -> int:
        return self.demand.replicas if self.demand else self.observed.replicas_desired or self.replicas


def explain(reason: ScalingReason, decided: Explained) -> str:
    """Explain why so many replicas were decided on."""
    sentence = _SENTENCES[reason](decided)
    observed = decided.observed
    if decided.demand is None or Source.QUEUE in observed.unreadable:
        return sentence
    missing = (
        f"; {explain_unreadable(observed)}" if observed.unreadable and reason is not ScalingReason.UNREADABLE else ""
    )
    faults = f"; {observed.fault_summary}" if observed.fault_summary else ""
    return f"{sentence} ({_values(observed, decided.demand)}){faults}{missing}"


def explain_unreadable(observed: Observed) -> str:
    """Which sources could not be read, and why."""
    reasons = (f"{_SOURCES[source]} ({why})" for source, why in sorted(observed.unreadable.items()))
    return f"could not be read: {', '.join(reasons)}"


def _values(observed: Observed, demand: Demand) -> str:
    values = [f"{observed.backlog or 0} waiting", f"{observed.in_flight or 0} in flight"]
    if observed.arrivals_per_second is not None:
        values.append(f"{observed.arrivals_per_second:.3g} arriving per second")
    if observed.wait_seconds is not None:
        values.append(f"{observed.wait_seconds:.3g} s wait")
    return ", ".join([*values, f"{demand.task_seconds:.3g} s per task"])


def _bounds(decided: Explained) -> str:
    name = "maxReplicas" if decided.needed > decided.replicas else "minReplicas"
    if decided.demand is None:
        return f"{_count(decided.replicas)} by {name}; {explain_unreadable(decided.observed)}"
    return f"{_count(decided.replicas)} by {name}, {decided.needed} needed"


def _backlog(decided: Explained) -> str:
    objective = f"{decided.policy.wait_objective_seconds:g} s"
    return f"{_count(decided.replicas)} to start every waiting task within {objective}"


def _stabilising(decided: Explained) -> str:
    seconds = decided.policy.scale_in_stabilisation_seconds
    return f"{_count(decided.replicas)}, {decided.needed} needed: more were needed in the last {seconds:g} s"


def _fewer_needed(decided: Explained) -> str:
    seconds = decided.policy.scale_in_stabilisation_seconds
    return f"{_count(decided.replicas)} needed in the last {seconds:g} s"


def _tasks_in_flight(decided: Explained) -> str:
    return f"{_count(decided.replicas)}, {decided.needed} needed: the others have tasks"


def _blocked(why: str) -> Callable[[Explained], str]:
    def explanation(decided: Explained) -> str:
        needed = f", {decided.needed} needed" if decided.needed > decided.replicas else ""
        cause = f": {decided.cause}" if decided.cause else ""
        return f"blocked at {_count(decided.replicas)}{needed}: {why or explain_unreadable(decided.observed)}{cause}"

    return explanation


def _count(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"


_SENTENCES: Mapping[ScalingReason, Callable[[Explained], str]] = {
    ScalingReason.STEADY: lambda decided: f"{_count(decided.replicas)} to keep the wait objective",
    ScalingReason.FROM_ZERO: lambda decided: f"{_count(decided.replicas)} from zero: there are tasks",
    ScalingReason.ARRIVAL_RATE: lambda decided: f"{_count(decided.replicas)} to keep up with arrivals",
    ScalingReason.BACKLOG: _backlog,
    ScalingReason.FEWER_NEEDED: _fewer_needed,
    ScalingReason.STABILISING: _stabilising,
    ScalingReason.TASKS_IN_FLIGHT: _tasks_in_flight,
    ScalingReason.BOUNDS: _bounds,
    ScalingReason.UNREADABLE: _blocked(""),
    ScalingReason.CRASH_LOOP: _blocked("the processor's containers keep crashing, see their logs"),
    ScalingReason.CANNOT_START: _blocked("no processor can start"),
    ScalingReason.RECEIVING_PAUSED: _blocked("no processor receives tasks"),
    ScalingReason.TASKS_FAILING: _blocked("every task fails, see the processors' logs"),
}
