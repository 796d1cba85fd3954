"""Time, the queue and the tasks of one replay. How many workers run the tasks is decided elsewhere."""

import heapq
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.scaling.simulator.workloads import Arrival, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """The simulated stage: its pods and limits, the same for every policy."""

    pod_ready_seconds: float = 4.0
    """From the request for a pod to its first receive."""
    slots: int = 10
    max_replicas: int = 100
    """KEDA's default."""
    drain_seconds: float = 30.0
    """A terminating pod may run its tasks for this time. The others are requeued and start again elsewhere."""
    wait_objective_seconds: float = 10.0
    depth_noise: float = 0.1
    """Largest relative error of a count that is read from the queue, since SQS' counts are approximate."""


@dataclass(slots=True)
class Task:
    """A task and when it ran."""

    arrived: float
    seconds: float
    first_start: float | None = None
    ended: float | None = None
    starts: int = 0

    @property
    def wait(self) -> float:
        """From its arrival to its first start; infinite if it never started."""
        return float("inf") if self.first_start is None else self.first_start - self.arrived


class Workers(Protocol):
    """What takes tasks from the queue."""

    def offer(self) -> None:
        """Take the visible tasks that there is capacity for."""


@dataclass
class Simulation:
    """One replay. Events at the same time happen in the order in which they were scheduled."""

    config: StageConfig
    workload: Workload
    rng: random.Random
    now: float = 0.0
    visible: deque[Task] = field(default_factory=deque)
    in_flight: int = 0
    tasks: list[Task] = field(default_factory=list)
    started: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, wait) of each first start, the latest last."""
    ended: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, task time) of each end, the latest last."""
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _scheduled: int = 0
    _arrivals: list[float] = field(default_factory=list)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Schedule `action` at `when`."""
        self._scheduled += 1
        heapq.heappush(self._events, (when, self._scheduled, action))

    def run(self, workers: Workers) -> None:
        """Replay the workload to its end."""
        self._arrivals = [arrival.at for arrival in self.workload.arrivals]
        self._schedule_arrival(iter(self.workload.arrivals), workers)
        while self._events and self._events[0][0] <= self.workload.seconds:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = self.workload.seconds

    def start(self, task: Task) -> None:
        """Record that a task has left the queue for a slot."""
        self.in_flight += 1
        task.starts += 1
        if task.first_start is None:
            task.first_start = self.now
            self.started.append((self.now, task.wait))

    def end(self, task: Task) -> None:
        """Record that a task has ended."""
        self.in_flight -= 1
        task.ended = self.now
        self.ended.append((self.now, task.seconds))

    def requeue(self, task: Task) -> None:
        """Make an interrupted task visible again."""
        self.in_flight -= 1
        self.visible.appendleft(task)

    def arrivals_within(self, seconds: float) -> int:
        """Number of tasks that arrived within the latest `seconds`."""
        return bisect_right(self._arrivals, self.now) - bisect_right(self._arrivals, self.now - seconds)

    def depth(self) -> tuple[int, int] | None:
        """(visible, in flight) as a reader gets them: approximate, or None during an outage."""
        if self.workload.has_outage(self.now):
            return None
        return self._approximate(len(self.visible)), self._approximate(self.in_flight)

    def _approximate(self, count: int) -> int:
        return round(count * (1 + self.rng.uniform(-1, 1) * self.config.depth_noise))

    def _schedule_arrival(self, arrivals: Iterator[Arrival], workers: Workers) -> None:
        arrival = next(arrivals, None)
        if arrival is None:
            return

        def arrive() -> None:
            task = Task(arrival.at, arrival.seconds)
            self.tasks.append(task)
            self.visible.append(task)
            workers.offer()
            self._schedule_arrival(arrivals, workers)

        self.at(arrival.at, arrive)
