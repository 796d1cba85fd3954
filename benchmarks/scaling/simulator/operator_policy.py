"""Our policy, looked up as the operator does: every 2 s with work, every 5 s without (its defaults)."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.figures import Account
from benchmarks.scaling.simulator.pods import Pod, Pods
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Figure, Memory, Observed, Policy
from k8s.operator.scaling.pod_start_times import StartTimes

ACTIVE_POLL_SECONDS = 2.0
IDLE_POLL_SECONDS = 5.0
ARRIVALS_WINDOW_SECONDS = 20.0
TASKS_WINDOW_SECONDS = 60.0
DRAIN_SHARE = 0.5
"""A task that took more of the drain than this could outlast it."""
_OUT = dict.fromkeys((Figure.BACKLOG, Figure.ARRIVALS, Figure.TASKS), "outage")


class Ours:
    """Observe, decide, act. How long pods take to start is learnt from those that did, as the operator learns it."""

    def __init__(self, simulation: Simulation, account: Account, phase: float) -> None:
        world = simulation.world
        self._simulation = simulation
        self._memory = Memory()
        self._starts = StartTimes()
        self._policy = Policy(
            wait_objective_seconds=world.wait_objective_seconds,
            max_replicas=world.max_replicas,
            slots_per_replica=world.slots,
        )
        self.pods = Pods(simulation, account, idle_first)
        simulation.at(phase * IDLE_POLL_SECONDS, self._turn)

    def _turn(self) -> None:
        simulation = self._simulation
        observed = self._observe()
        policy = replace(self._policy, pod_ready_seconds=self._starts.seconds)
        decision = desired_replicas(observed, policy, simulation.now)
        self._memory = decision.memory
        self.pods.scale(decision.replicas)
        at_rest = not simulation.visible and not simulation.in_flight and not self.pods.replicas
        simulation.at(simulation.now + (IDLE_POLL_SECONDS if at_rest else ACTIVE_POLL_SECONDS), self._turn)

    def _observe(self) -> Observed:
        simulation, pods = self._simulation, self.pods
        depth = simulation.depth()
        self._starts.note(
            {str(pod.number): None if pod.ready_at is None else pod.ready_at - pod.asked_at for pod in pods.pods}
        )
        if depth is None:
            replicas, ready = pods.replicas, len(pods.ready)
            return Observed(replicas_desired=replicas, replicas_ready=ready, unreadable=_OUT, memory=self._memory)
        return Observed(
            visible=depth[0],
            in_flight=depth[1],
            arrivals_per_second=simulation.arrivals_within(ARRIVALS_WINDOW_SECONDS) / ARRIVALS_WINDOW_SECONDS,
            task_seconds=self._mean(simulation.ended),
            wait_seconds=self._mean(simulation.started),
            replicas_desired=pods.replicas,
            replicas_ready=len(pods.ready),
            succeeding=bool(simulation.ended),
            outlasting=self._is_outlasting(),
            in_flight_by_pod={str(pod.number): len(pod.tasks) for pod in pods.ready},
            memory=self._memory,
        )

    def _mean(self, seen: deque[tuple[float, float]]) -> float | None:
        while seen and seen[0][0] < self._simulation.now - TASKS_WINDOW_SECONDS:
            seen.popleft()
        return fmean(value for _, value in seen) if seen else None

    def _is_outlasting(self) -> bool | None:
        ended = self._simulation.ended
        return (
            max(seconds for _, seconds in ended) > self._simulation.world.drain_seconds * DRAIN_SHARE if ended else None
        )


def idle_first(pods: Iterable[Pod]) -> list[Pod]:
    """Not ready, then by tasks in hand, as pod-deletion-cost has it."""
    return sorted(pods, key=lambda pod: (pod.ready_at is not None, len(pod.tasks), -pod.number))
