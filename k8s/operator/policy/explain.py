"""A decision in one sentence, with the figures that decided, for Event, condition and log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8s.operator.policy.demand import Demand
from k8s.operator.policy.types import Figure, Observed, Policy, Reason

_FIGURES = {
    Figure.BACKLOG: "the queue's depth",
    Figure.REPLICAS: "the replicas",
    Figure.ARRIVALS: "the arrivals",
    Figure.TASKS: "the processors' figures",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What a sentence is made of."""

    observed: Observed
    policy: Policy
    replicas: int
    """What is asked for."""
    wanted: Demand | None
    """None where too little was read to reckon with."""
    cause: str = ""
    """Of a hold, as the pods say it."""

    @property
    def wanted_replicas(self) -> int:
        return self.wanted.replicas if self.wanted else self.observed.replicas_desired or self.replicas


def explain(reason: Reason, case: Case) -> str:
    """Say why so many replicas are asked for."""
    said = _SENTENCES[reason](case)
    if case.wanted is None or Figure.BACKLOG in case.observed.unreadable:
        return said
    lacking = f"; {unreadable(case.observed)}" if case.observed.unreadable and reason is not Reason.UNREADABLE else ""
    broken = f"; {case.observed.not_working}" if case.observed.not_working else ""
    return f"{said} ({_figures(case.observed, case.wanted)}){broken}{lacking}"


def _figures(observed: Observed, wanted: Demand) -> str:
    told = [f"{observed.visible or 0} waiting", f"{observed.in_flight or 0} in flight"]
    if observed.arrivals_per_second is not None:
        told.append(f"{observed.arrivals_per_second:.3g} a second arriving")
    if observed.wait_seconds is not None:
        told.append(f"{observed.wait_seconds:.3g} s of wait")
    return ", ".join([*told, f"{wanted.task_seconds:.3g} s a task"])


def unreadable(observed: Observed) -> str:
    """Which figures could not be read, and why."""
    reasons = (f"{_FIGURES[figure]} ({why})" for figure, why in sorted(observed.unreadable.items()))
    return f"could not be read: {', '.join(reasons)}"


def _bounds(case: Case) -> str:
    name = "maxReplicas" if case.wanted_replicas > case.replicas else "minReplicas"
    if case.wanted is None:
        return f"{_count(case.replicas)} by {name}; {unreadable(case.observed)}"
    return f"{_count(case.replicas)} by {name}, where {case.wanted_replicas} would be wanted"


def _backlog(case: Case) -> str:
    return f"{_count(case.replicas)} to start all that waits within {case.policy.wait_objective_seconds:g} s"


def _stabilising(case: Case) -> str:
    seconds = case.policy.scale_in_stabilisation_seconds
    fewer = case.wanted_replicas
    return f"{_count(case.replicas)} stay, though {fewer} would do: more were wanted in the last {seconds:g} s"


def _idle(case: Case) -> str:
    return f"{_count(case.replicas)} would have done for the last {case.policy.scale_in_stabilisation_seconds:g} s"


def _held(why: str) -> Callable[[Case], str]:
    def said(case: Case) -> str:
        more = f", where {case.wanted_replicas} would be wanted" if case.wanted_replicas > case.replicas else ""
        cause = f": {case.cause}" if case.cause else ""
        return f"held at {_count(case.replicas)}{more}: {why or unreadable(case.observed)}{cause}"

    return said


def _count(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"


_SENTENCES: Mapping[Reason, Callable[[Case], str]] = {
    Reason.STEADY: lambda case: f"{_count(case.replicas)}, as there are, keep the objective",
    Reason.FIRST_MESSAGE: lambda case: f"{_count(case.replicas)} from none: there is work",
    Reason.ARRIVALS: lambda case: f"{_count(case.replicas)} to keep up with what arrives",
    Reason.BACKLOG: _backlog,
    Reason.IDLE: _idle,
    Reason.STABILISING: _stabilising,
    Reason.IN_FLIGHT: lambda case: f"{_count(case.replicas)} stay: tasks are in hand",
    Reason.BOUNDS: _bounds,
    Reason.UNREADABLE: _held(""),
    Reason.CRASH_LOOP: _held("the processors keep dying, see their logs"),
    Reason.CANNOT_START: _held("no processor can start"),
    Reason.RECEIVING_PAUSED: _held("no processor receives tasks"),
    Reason.FAILING: _held("every task fails, see the processors' logs"),
}
