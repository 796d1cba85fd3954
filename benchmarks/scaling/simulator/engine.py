"""Time, the queue and the tasks. What works on them, and how much of it there is, is not decided here."""

import heapq
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.scaling.simulator.world import Arrival, Workload, World


@dataclass(slots=True)
class Task:
    """A task and what became of it."""

    arrived: float
    seconds: float
    first_start: float | None = None
    ended: float | None = None
    starts: int = 0

    @property
    def wait(self) -> float:
        """From its arrival to its first start; for ever when it never started."""
        return float("inf") if self.first_start is None else self.first_start - self.arrived


class Workers(Protocol):
    """What takes tasks from the queue."""

    def offer(self) -> None:
        """Take of the visible tasks what can be taken now."""


@dataclass
class Simulation:
    """One replay. Events at the same time happen in the order in which they were asked for."""

    world: World
    workload: Workload
    rng: random.Random
    now: float = 0.0
    visible: deque[Task] = field(default_factory=deque)
    in_flight: int = 0
    tasks: list[Task] = field(default_factory=list)
    started: deque[tuple[float, float]] = field(default_factory=deque)
    """(when, its wait) of the starts, the newest last."""
    ended: deque[tuple[float, float]] = field(default_factory=deque)
    """(when, its seconds) of the ends."""
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _asked: int = 0
    _arrivals: list[float] = field(default_factory=list)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Have `do` called at `when`."""
        self._asked += 1
        heapq.heappush(self._events, (when, self._asked, do))

    def run(self, workers: Workers) -> None:
        """Replay the workload to its end."""
        self._arrivals = [arrival.at for arrival in self.workload.arrivals]
        self._arrive_next(iter(self.workload.arrivals), workers)
        while self._events and self._events[0][0] <= self.workload.seconds:
            self.now, _, do = heapq.heappop(self._events)
            do()
        self.now = self.workload.seconds

    def start(self, task: Task) -> None:
        """Note that a task has left the line for a slot."""
        self.in_flight += 1
        task.starts += 1
        if task.first_start is None:
            task.first_start = self.now
            self.started.append((self.now, task.wait))

    def end(self, task: Task) -> None:
        """Note that a task is done."""
        self.in_flight -= 1
        task.ended = self.now
        self.ended.append((self.now, task.seconds))

    def hand_back(self, task: Task) -> None:
        """Make a task visible again that was not finished."""
        self.in_flight -= 1
        self.visible.appendleft(task)

    def arrivals_within(self, seconds: float) -> int:
        """Tasks that arrived not longer ago."""
        return bisect_right(self._arrivals, self.now) - bisect_right(self._arrivals, self.now - seconds)

    def depth(self) -> tuple[int, int] | None:
        """(visible, in flight) as a reader is told: approximately, or not at all."""
        if self.workload.is_out(self.now):
            return None
        return self._roughly(len(self.visible)), self._roughly(self.in_flight)

    def _roughly(self, count: int) -> int:
        return round(count * (1 + self.rng.uniform(-1, 1) * self.world.depth_noise))

    def _arrive_next(self, upcoming: Iterator[Arrival], workers: Workers) -> None:
        arrival = next(upcoming, None)
        if arrival is None:
            return

        def arrive() -> None:
            task = Task(arrival.at, arrival.seconds)
            self.tasks.append(task)
            self.visible.append(task)
            workers.offer()
            self._arrive_next(upcoming, workers)

        self.at(arrival.at, arrive)
