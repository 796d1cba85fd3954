"""Lambda's event source mapping for a standard queue, in its default mode.

Source: docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five concurrent batches at first, up to 300 more
a minute while there are messages, up to 1,250; back to five when traffic is low. A batch has up to ten messages.
Here a batch runs its tasks at the same time, so it takes as long as its longest task, and its slots are not refilled
meanwhile. AWS' own pollers do not use the metrics that an outage makes unreadable.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation, Task
from benchmarks.scaling.simulator.results import Recording

BATCH_MESSAGES = 10
FIRST_BATCHES = 5
MORE_BATCHES_PER_SECOND = 5
"""300 a minute."""
MAX_BATCHES = 1_250
LOW_TRAFFIC_SECONDS = 60.0
COLD_START_SECONDS = 0.5
WARM_SECONDS = 300.0
"""Both are assumptions, since AWS documents neither."""


class EventSourceMapping:
    """Pollers that invoke a function with batches."""

    def __init__(self, simulation: Simulation, recording: Recording, phase: float) -> None:
        self._simulation = simulation
        self._recording = recording
        self._limit = FIRST_BATCHES
        self._running = 0
        self._warm = 0
        self._busy_at = self._used_at = 0.0
        simulation.at(phase, self._adapt)

    def offer(self) -> None:
        """Invoke the function with the visible messages."""
        simulation = self._simulation
        while simulation.visible and self._running < self._limit:
            count = min(BATCH_MESSAGES, len(simulation.visible))
            self._running += 1
            self._used_at = simulation.now
            is_cold = self._running > self._warm
            self._warm = max(self._warm, self._running)
            self._recording.replicas.append((simulation.now, self._running))
            batch = [simulation.visible.popleft() for _ in range(count)]
            simulation.at(simulation.now + (COLD_START_SECONDS if is_cold else 0.0), partial(self._start, batch))

    def _start(self, batch: Sequence[Task]) -> None:
        simulation = self._simulation
        for task in batch:
            simulation.start(task)
            simulation.at(simulation.now + task.seconds, partial(simulation.end, task))
        longest = max(task.seconds for task in batch)
        self._recording.pod_seconds += longest
        simulation.at(simulation.now + longest, self._finish)

    def _finish(self) -> None:
        self._running -= 1
        self._recording.replicas.append((self._simulation.now, self._running))
        self.offer()

    def _adapt(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + 1.0, self._adapt)
        before = self._limit
        if simulation.visible and self._running >= self._limit:
            self._limit = min(MAX_BATCHES, self._limit + MORE_BATCHES_PER_SECOND)
        if self._running >= FIRST_BATCHES:
            self._busy_at = simulation.now
        elif simulation.now - self._busy_at > LOW_TRAFFIC_SECONDS:
            self._limit = FIRST_BATCHES
        if simulation.now - self._used_at > WARM_SECONDS:
            self._warm = 0
        self._recording.changes += self._limit != before
        self.offer()
