"""`python -m benchmarks.ingest`: CPU time and latency of POST /task, beside a plain implementation.

Both use a real queue server. The measured process is the ingest service as it is deployed, with authentication,
validation, limits, metrics and logs.
"""

import argparse
import json
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.figures import Figure, table
from benchmarks.support.identity import Identity, identity_provider
from benchmarks.support.load import LoadResult, load
from benchmarks.support.queue_server import QueueServer, queue_server
from benchmarks.support.queues import USERS, BenchQueue, queues
from benchmarks.support.rounds import median_of, progress_bar, run_in_folder, spread
from benchmarks.support.service import Account, Service, service

REQUESTS = {64: 3_000, 1: 400}
"""Requests of a step, by the number of connections: at least a quarter of a second of CPU time."""
STEPS = (64, 1, 1, 1)
"""The steps of a round, by connections. Small differences of latency need more alternations."""
WARM_UP = 500


@dataclass(frozen=True, slots=True)
class Round:
    """One load on one service."""

    used: Account
    load: LoadResult

    @property
    def cpu_ms(self) -> float:
        return self.used.cpu_seconds * 1000 / self.load.accepted

    @property
    def sqs_requests(self) -> float:
        return self.used.sqs_calls / self.load.accepted


@dataclass(slots=True)
class Subject:
    """A service and its measurements, by the number of connections."""

    service: Service
    queue: BenchQueue
    rounds: dict[int, list[Round]] = field(default_factory=lambda: {connections: [] for connections in REQUESTS})

    async def measure(self, connections: int, tokens: list[str]) -> None:
        before = await self.service.account(begins=True)
        result = await load(self.service.port, connections, REQUESTS[connections], tokens)
        if result.rejected:
            raise self.service.child.failed(f"{result.rejected} requests were rejected.")
        self.rounds[connections].append(Round(await self.service.account() - before, result))

    def cpu_ms(self, connections: int) -> float:
        return median_of(one.cpu_ms for one in self.rounds[connections])

    def p50_ms(self, connections: int) -> float:
        return median_of(one.load.p50_ms for one in self.rounds[connections])


async def measure(folder: Path, rounds: int) -> tuple[str, Subject, Subject]:
    """Measure the service and the plain one alternately; return the queue server's name and both."""
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(queue_server(folder))
        identity = await opened.enter_async_context(identity_provider())
        created_queues = await opened.enter_async_context(queues(server))
        subjects = []
        for module in ("services.ingest", "benchmarks.plain.ingest"):
            queue = await created_queues.new()
            settings = _settings(server, identity, queue)
            running = await opened.enter_async_context(service(module, settings, folder / f"{module}.log"))
            subjects.append(Subject(running, queue))
        tokens = identity.tokens(USERS)
        for subject in subjects:
            await load(subject.service.port, 64, WARM_UP, tokens)
        with progress_bar("ingest", rounds * len(STEPS) * len(subjects)) as bar:
            for number in range(rounds):
                for step, connections in enumerate(STEPS):
                    for subject in subjects if (number + step) % 2 else reversed(subjects):
                        await subject.measure(connections, tokens)
                        bar.update()
        return server.name, subjects[0], subjects[1]


def _settings(server: QueueServer, identity: Identity, queue: BenchQueue) -> dict[str, str]:
    return {
        **server.environment(),
        **identity.environment(),
        "TASK_QUEUE_URL": queue.url,
        "ALLOWED_ORIGINS": "https://app.example.com",
        # The limit is counted, but never reached: 64 users send as many tasks as thousands of users do.
        "TASKS_PER_MINUTE": "1000000",
    }


def figures(ingest: Subject, plain: Subject) -> list[Figure]:
    """Summarise the measurements."""
    ratios = [
        ours.load.p50_ms / other.load.p50_ms for ours, other in zip(ingest.rounds[1], plain.rounds[1], strict=True)
    ]
    return [
        Figure(
            "cpu_ms_per_task_at_64",
            ingest.cpu_ms(64),
            "ms",
            f"{spread(one.cpu_ms for one in ingest.rounds[64])}; plain {plain.cpu_ms(64):.3g}",
        ),
        Figure(
            "sqs_requests_per_task_at_64",
            median_of(one.sqs_requests for one in ingest.rounds[64]),
            "",
            f"{spread(one.sqs_requests for one in ingest.rounds[64])}; plain 1",
        ),
        Figure(
            "latency_ratio_at_1",
            median_of(ratios),
            "",
            f"{spread(ratios)}; p50 {ingest.p50_ms(1):.3g} ms, plain {plain.p50_ms(1):.3g} ms",
        ),
        Figure("cpu_ms_per_task_at_1", ingest.cpu_ms(1), "ms", f"plain {plain.cpu_ms(1):.3g}"),
        Figure("plain_cpu_ms_per_task_at_64", plain.cpu_ms(64), "ms"),
        Figure("p50_ms_at_64", ingest.p50_ms(64), "ms", f"plain {plain.p50_ms(64):.3g}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the medians are printed (default 7)")
    options = parser.parse_args()
    server, ingest, plain = run_in_folder(lambda folder: measure(folder, options.rounds))
    found = figures(ingest, plain)
    print(table(found))
    print(f"against {server}; {os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in found} | {"queue_server": server}))


if __name__ == "__main__":
    main()
