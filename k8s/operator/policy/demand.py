"""How many replicas keep the wait within the objective. Queueing arithmetic, without memory and bounds.

The larger of two answers counts:

- Arrivals: the slots that serve them in the long run. They occupy at most `utilisation` of these slots, and by Erlang's
  C formula at most `LATE_SHARE` of them wait longer than the objective.
- Backlog: the slots that start every waiting task in the time that is left. A free slot starts one task at once and one
  more every task time; a busy one starts its first when its task ends; a new one when its pod is ready. One slot for
  each message is therefore always enough.
"""

import math
from dataclasses import dataclass

from k8s.operator.policy.erlang import wait_probability
from k8s.operator.policy.types import Observed, Policy, Source

LATE_SHARE = 0.05
"""Share of a steady stream of arrivals that may wait longer than the objective."""
TOLERANCE = 0.1
"""Measured arrivals vary by chance. If they exceed `utilisation` by no more than this, no replica is added."""
_SHORTEST_TASK_SECONDS = 1e-3
"""Shorter means count as this, which keeps divisions finite."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Replicas that are needed, for arrivals and for the backlog."""

    for_arrivals: int
    for_backlog: int
    task_seconds: float
    """The mean task time that was used."""

    @property
    def replicas(self) -> int:
        return max(self.for_arrivals, self.for_backlog)


def estimate_demand(observed: Observed, policy: Policy, task_seconds: float) -> Demand:
    """Estimate from what was read. What was not read counts as zero, so the result is then a lower bound."""
    seconds = max(task_seconds, _SHORTEST_TASK_SECONDS)
    return Demand(
        for_arrivals=deployment_size(_replicas_for_arrivals(observed, seconds, policy), observed, policy),
        for_backlog=deployment_size(_replicas_for_backlog(observed, seconds, policy), observed, policy),
        task_seconds=seconds,
    )


def deployment_size(working: int, observed: Observed, policy: Policy) -> int:
    """How many replicas the Deployment needs so that `working` of its pods work.

    Pods that do not work keep their share when a Deployment is scaled (proportional scaling), so more are needed.
    """
    share = observed.working_share
    if share >= 1 or working <= 0:
        return working
    replicas = working
    while replicas < max(policy.max_replicas, working) and _working_pods(replicas, observed) < working:
        replicas += 1
    return replicas


def receiving_replicas(observed: Observed) -> int:
    """Ready replicas without those that receive no tasks."""
    return max(0, (observed.replicas_ready or 0) - observed.ready_not_receiving)


def packed_replicas(observed: Observed, policy: Policy) -> int:
    """The fewest replicas that have slots for all tasks in flight."""
    return _ceil((observed.in_flight or 0) / policy.slots_per_replica)


def busy_replicas(observed: Observed) -> int:
    """Replicas that have tasks. One that did not answer counts as busy, unless nothing is in flight."""
    answered = observed.tasks_by_pod
    unanswered = max(0, (observed.replicas_ready or 0) - len(answered))
    return sum(tasks > 0 for tasks in answered.values()) + min(unanswered, observed.in_flight or 0)


def _working_pods(replicas: int, observed: Observed) -> int:
    """How many pods of a Deployment of this size work."""
    if observed.working_share >= 1:
        return replicas
    surge = observed.max_surge
    extra = math.ceil(replicas * int(surge[:-1]) / 100) if surge.endswith("%") else int(surge)
    return min(replicas, math.floor(observed.working_share * (replicas + extra) + 1e-9))


def _replicas_for_arrivals(observed: Observed, task_seconds: float, policy: Policy) -> int:
    load = (observed.arrivals_per_second or 0.0) * task_seconds
    slots, current = policy.slots_per_replica, _working_pods(observed.replicas_desired or 0, observed)
    replicas = _ceil(load / (slots * policy.utilisation))
    if current and replicas > current and load <= current * slots * policy.utilisation * (1 + TOLERANCE):
        replicas = current
    limit = max(policy.max_replicas, 1)
    objective_in_task_times = policy.wait_objective_seconds / task_seconds
    while 0 < replicas < limit and not _keeps_objective(replicas * slots, load, objective_in_task_times):
        replicas += 1
    return replicas


def _keeps_objective(slots: int, load: float, objective_in_task_times: float) -> bool:
    # An upper bound of the late share, as if every task waited. It avoids the recursion over thousands of slots.
    if load < slots and math.exp(-(slots - load) * objective_in_task_times) <= LATE_SHARE:
        return True
    return wait_probability(slots, load, objective_in_task_times) <= LATE_SHARE


def _replicas_for_backlog(observed: Observed, task_seconds: float, policy: Policy) -> int:
    backlog, slots = observed.backlog or 0, policy.slots_per_replica
    ready = receiving_replicas(observed)
    remaining_seconds = max(0.0, policy.wait_objective_seconds - (observed.wait_seconds or 0.0))
    busy_slots = min(_busy_slots(observed), ready * slots)
    starts_per_slot = remaining_seconds / task_seconds
    started_by_busy = busy_slots * starts_per_slot
    started = started_by_busy + (ready * slots - busy_slots) * max(1.0, starts_per_slot)
    if backlog <= started:
        return _ceil((busy_slots + max(0.0, backlog - started_by_busy) / max(1.0, starts_per_slot)) / slots)
    starts_per_new_slot = max(1.0, (remaining_seconds - policy.pod_ready_seconds) / task_seconds)
    return ready + _ceil((backlog - started) / (slots * starts_per_new_slot))


def _busy_slots(observed: Observed) -> int:
    """Occupied slots. SQS' in-flight count also has messages in backoff and those of pods that are terminating."""
    in_flight, by_pod = observed.in_flight or 0, observed.tasks_by_pod
    all_answered = Source.PROCESSOR not in observed.unreadable and len(by_pod) >= (observed.replicas_ready or 0) > 0
    return min(in_flight, sum(by_pod.values())) if all_answered else in_flight


def _ceil(value: float) -> int:
    """Round up, ignoring the rounding errors of floating point."""
    return math.ceil(value - 1e-9)
