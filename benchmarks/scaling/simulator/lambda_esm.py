"""Lambda's event source mapping for a standard queue, in its default mode.

Source: docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five concurrent batches at first, up to 300 more
a minute while there are messages, up to 1,250; back to five when traffic is low. A batch is up to ten messages.
A batch here runs its tasks at the same time, so it takes as long as its longest task; its slots are not refilled
meanwhile. AWS's own pollers need none of our metrics, so an outage of these does not concern them.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation, Task
from benchmarks.scaling.simulator.figures import Account

BATCH = 10
FIRST = 5
MORE_A_SECOND = 5
"""300 a minute."""
MOST = 1_250
LOW_AFTER_SECONDS = 60.0
COLD_START_SECONDS = 0.5
KEPT_WARM_SECONDS = 300.0
"""Both are assumptions: AWS documents neither."""


class EventSource:
    """Pollers that invoke a function with batches."""

    def __init__(self, simulation: Simulation, account: Account, phase: float) -> None:
        self._simulation = simulation
        self._account = account
        self._limit = FIRST
        self._running = 0
        self._warm = 0
        self._busy_at = self._used_at = 0.0
        simulation.at(phase, self._adapt)

    def offer(self) -> None:
        """Invoke with what there is."""
        simulation = self._simulation
        while simulation.visible and self._running < self._limit:
            count = min(BATCH, len(simulation.visible))
            self._running += 1
            self._used_at = simulation.now
            cold = self._running > self._warm
            self._warm = max(self._warm, self._running)
            self._account.replicas.append((simulation.now, self._running))
            batch = [simulation.visible.popleft() for _ in range(count)]
            simulation.at(simulation.now + (COLD_START_SECONDS if cold else 0.0), partial(self._begin, batch))

    def _begin(self, batch: Sequence[Task]) -> None:
        simulation = self._simulation
        for task in batch:
            simulation.start(task)
            simulation.at(simulation.now + task.seconds, partial(simulation.end, task))
        longest = max(task.seconds for task in batch)
        self._account.pod_seconds += longest
        simulation.at(simulation.now + longest, self._finish)

    def _finish(self) -> None:
        self._running -= 1
        self._account.replicas.append((self._simulation.now, self._running))
        self.offer()

    def _adapt(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + 1.0, self._adapt)
        before = self._limit
        if simulation.visible and self._running >= self._limit:
            self._limit = min(MOST, self._limit + MORE_A_SECOND)
        if self._running >= FIRST:
            self._busy_at = simulation.now
        elif simulation.now - self._busy_at > LOW_AFTER_SECONDS:
            self._limit = FIRST
        if simulation.now - self._used_at > KEPT_WARM_SECONDS:
            self._warm = 0
        self._account.changes += self._limit != before
        self.offer()
