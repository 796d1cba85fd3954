"""How many replicas keep the wait under its objective: queueing arithmetic, no memory, no bounds.

Two questions are asked, and the larger answer counts.

- Arrivals: how many slots serve them for good? Enough that they take up no more than `utilisation` of the slots, and
  that by Erlang's C formula hardly anybody waits longer than the objective.
- Backlog: how many slots start all that waits before its time is over? A slot that is free starts one task at once
  and one more every task time; one that is busy starts its first when it is done; one that does not exist yet begins
  when its pod is ready. One slot a message is therefore always enough.
"""

import math
from dataclasses import dataclass

from k8s.operator.policy.erlang import wait_probability
from k8s.operator.policy.types import Figure, Observed, Policy

LATE_SHARE = 0.05
"""Arrivals of a steady stream that may wait longer than the objective."""
TOLERANCE = 0.1
"""Arrivals are counted over seconds and vary by chance: so much more than `utilisation` allows is no reason to grow."""
_SHORTEST_TASK_SECONDS = 1e-3
"""A mean below this is as good as none; it keeps divisions finite."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Replicas that are wanted, and what for."""

    arrivals: int
    backlog: int
    task_seconds: float
    """The mean task time that was reckoned with."""

    @property
    def replicas(self) -> int:
        return max(self.arrivals, self.backlog)


def demand(observed: Observed, policy: Policy, task_seconds: float) -> Demand:
    """Reckon with what was read; what was not counts as none, so the answer is a lower bound then."""
    seconds = max(task_seconds, _SHORTEST_TASK_SECONDS)
    return Demand(
        arrivals=replicas_for(_for_arrivals(observed, seconds, policy), observed, policy),
        backlog=replicas_for(_for_backlog(observed, seconds, policy), observed, policy),
        task_seconds=seconds,
    )


def replicas_for(working: int, observed: Observed, policy: Policy) -> int:
    """How many replicas the Deployment needs so that `working` of its pods work.

    Pods that do not work keep their share when a Deployment is scaled (proportional scaling), so more are asked for.
    """
    share = observed.working_share
    if share >= 1 or working <= 0:
        return working
    replicas = working
    while replicas < max(policy.max_replicas, working) and _working_of(replicas, observed) < working:
        replicas += 1
    return replicas


def ready_and_receiving(observed: Observed) -> int:
    """Replicas that Kubernetes counts as ready, without those that receive no tasks."""
    return max(0, (observed.replicas_ready or 0) - observed.ready_not_receiving)


def _working_of(replicas: int, observed: Observed) -> int:
    """Pods that work of a Deployment of so many replicas."""
    if observed.working_share >= 1:
        return replicas
    surge = observed.max_surge
    extra = math.ceil(replicas * int(surge[:-1]) / 100) if surge.endswith("%") else int(surge)
    return min(replicas, math.floor(observed.working_share * (replicas + extra) + 1e-9))


def in_flight_replicas(observed: Observed, policy: Policy) -> int:
    """Replicas whose slots are full if the tasks in flight are packed as tightly as can be."""
    return _ceil((observed.in_flight or 0) / policy.slots_per_replica)


def busy_replicas(observed: Observed) -> int:
    """Replicas with tasks in hand. One that did not tell may have some, unless nothing is in flight at all."""
    told = observed.in_flight_by_pod
    untold = max(0, (observed.replicas_ready or 0) - len(told))
    return sum(tasks > 0 for tasks in told.values()) + min(untold, observed.in_flight or 0)


def _for_arrivals(observed: Observed, task_seconds: float, policy: Policy) -> int:
    load = (observed.arrivals_per_second or 0.0) * task_seconds
    slots, there_are = policy.slots_per_replica, _working_of(observed.replicas_desired or 0, observed)
    replicas = _ceil(load / (slots * policy.utilisation))
    if there_are and replicas > there_are and load <= there_are * slots * policy.utilisation * (1 + TOLERANCE):
        replicas = there_are
    most = max(policy.max_replicas, 1)
    while 0 < replicas < most and not _keeps_objective(
        replicas * slots, load, policy.wait_objective_seconds / task_seconds
    ):
        replicas += 1
    return replicas


def _keeps_objective(slots: int, load: float, turns: float) -> bool:
    if load < slots and math.exp(-(slots - load) * turns) <= LATE_SHARE:
        return True  # were all to wait, few would for so long: spares thousands of slots the recursion
    return wait_probability(slots, load, turns) <= LATE_SHARE


def _for_backlog(observed: Observed, task_seconds: float, policy: Policy) -> int:
    visible, slots = observed.visible or 0, policy.slots_per_replica
    ready = ready_and_receiving(observed)
    budget = max(0.0, policy.wait_objective_seconds - (observed.wait_seconds or 0.0))
    busy = min(_busy_slots(observed), ready * slots)
    turns = budget / task_seconds  # of a slot, within the budget
    from_busy = busy * turns
    started = from_busy + (ready * slots - busy) * max(1.0, turns)
    if visible <= started:
        return _ceil((busy + max(0.0, visible - from_busy) / max(1.0, turns)) / slots)
    turns_of_new = max(1.0, (budget - policy.pod_ready_seconds) / task_seconds)
    return ready + _ceil((visible - started) / (slots * turns_of_new))


def _busy_slots(observed: Observed) -> int:
    """Slots taken. SQS counts as in flight also what backs off or is held by pods that are going."""
    in_flight, by_pod = observed.in_flight or 0, observed.in_flight_by_pod
    all_told = Figure.TASKS not in observed.unreadable and len(by_pod) >= (observed.replicas_ready or 0) > 0
    return min(in_flight, sum(by_pod.values())) if all_told else in_flight


def _ceil(value: float) -> int:
    """Up to the next whole number, forgiving what floating point adds to one."""
    return math.ceil(value - 1e-9)
