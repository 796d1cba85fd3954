"""The operator's policy, polled as the operator does by default: every 2 s with work, every 5 s without."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.pods import Pod, Pods
from benchmarks.scaling.simulator.results import Recording
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Memory, Observed, Policy, Source
from k8s.operator.scaling.pod_start_times import PodStartTimes

ACTIVE_POLL_SECONDS = 2.0
IDLE_POLL_SECONDS = 5.0
ARRIVALS_WINDOW_SECONDS = 20.0
TASKS_WINDOW_SECONDS = 60.0
DRAIN_SHARE = 0.5
"""A task that took a larger share of the drain than this could outlast it."""
_OUTAGE = dict.fromkeys((Source.QUEUE, Source.INGEST, Source.PROCESSOR), "outage")


class OperatorPolicy:
    """Observe, decide, scale. The pods' start time is measured, as the operator does."""

    def __init__(self, simulation: Simulation, recording: Recording, phase: float) -> None:
        config = simulation.config
        self._simulation = simulation
        self._memory = Memory()
        self._start_times = PodStartTimes()
        self._policy = Policy(
            wait_objective_seconds=config.wait_objective_seconds,
            max_replicas=config.max_replicas,
            slots_per_replica=config.slots,
        )
        self.pods = Pods(simulation, recording, idle_first)
        simulation.at(phase * IDLE_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        simulation = self._simulation
        observed = self._observe()
        policy = replace(self._policy, pod_ready_seconds=self._start_times.expected_seconds)
        decision = desired_replicas(observed, policy, simulation.now)
        self._memory = decision.memory
        self.pods.scale(decision.replicas)
        is_idle = not simulation.visible and not simulation.in_flight and not self.pods.replicas
        simulation.at(simulation.now + (IDLE_POLL_SECONDS if is_idle else ACTIVE_POLL_SECONDS), self._poll)

    def _observe(self) -> Observed:
        simulation, pods = self._simulation, self.pods
        depth = simulation.depth()
        self._start_times.record(
            {str(pod.number): None if pod.ready_at is None else pod.ready_at - pod.requested_at for pod in pods.pods}
        )
        if depth is None:
            replicas, ready = pods.replicas, len(pods.ready)
            return Observed(replicas_desired=replicas, replicas_ready=ready, unreadable=_OUTAGE, memory=self._memory)
        return Observed(
            backlog=depth[0],
            in_flight=depth[1],
            arrivals_per_second=simulation.arrivals_within(ARRIVALS_WINDOW_SECONDS) / ARRIVALS_WINDOW_SECONDS,
            task_seconds=self._mean(simulation.ended),
            wait_seconds=self._mean(simulation.started),
            replicas_desired=pods.replicas,
            replicas_ready=len(pods.ready),
            any_task_finished=bool(simulation.ended),
            tasks_outlast_drain=self._tasks_outlast_drain(),
            tasks_by_pod={str(pod.number): len(pod.tasks) for pod in pods.ready},
            memory=self._memory,
        )

    def _mean(self, values: deque[tuple[float, float]]) -> float | None:
        """The mean within the window. Older values are dropped."""
        while values and values[0][0] < self._simulation.now - TASKS_WINDOW_SECONDS:
            values.popleft()
        return fmean(value for _, value in values) if values else None

    def _tasks_outlast_drain(self) -> bool | None:
        ended = self._simulation.ended
        if not ended:
            return None
        return max(seconds for _, seconds in ended) > self._simulation.config.drain_seconds * DRAIN_SHARE


def idle_first(pods: Iterable[Pod]) -> list[Pod]:
    """Pods that are not ready, then by their tasks, as pod-deletion-cost orders them."""
    return sorted(pods, key=lambda pod: (pod.ready_at is not None, len(pod.tasks), -pod.number))
