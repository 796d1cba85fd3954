"""`python -m benchmarks.task_status`: CPU time and latency of GET /task/{taskId}, beside a plain implementation.

The task is queued, so that both the notification history and the status snapshot are read. The measured process is the
token service as it is deployed, with authentication, limits, metrics and logs; the cache is the Momento emulator.
"""

import argparse
import json
import os
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.figures import Figure, table
from benchmarks.support.identity import identity_provider
from benchmarks.support.load import load
from benchmarks.support.momento import momento
from benchmarks.support.rounds import median_of, progress_bar, run_in_folder, spread
from benchmarks.support.service import Service, service

USERS = [f"user-{number}" for number in range(64)]
"""Each may read 240 times a minute, and as often at once."""
REQUESTS = 800
WARM_UP = 200
CONNECTIONS = 64
MODULES = ("services.token", "benchmarks.plain.task_status")
PATH = f"/task/{uuid.uuid5(uuid.NAMESPACE_DNS, 'benchmark')}"


@dataclass(slots=True)
class Subject:
    """A service and its measurements."""

    service: Service
    cpu_ms: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)

    async def measure(self, tokens: list[str]) -> None:
        """Load the service once, and note the CPU time of a request and the latency."""
        before = await self.service.account(begins=True)
        result = await load(self.service.port, CONNECTIONS, REQUESTS, tokens, PATH)
        if result.rejected:
            raise self.service.child.failed(f"{result.rejected} requests were rejected.")
        used = await self.service.account() - before
        self.cpu_ms.append(used.cpu_seconds * 1000 / result.accepted)
        self.p50_ms.append(result.p50_ms)


async def measure(folder: Path, rounds: int) -> list[Subject]:
    """Measure the service and the plain one alternately."""
    async with AsyncExitStack() as opened:
        identity = await opened.enter_async_context(identity_provider())
        cache = await opened.enter_async_context(momento(folder))
        settings = {
            **identity.environment(),
            **cache.environment(),
            "ALLOWED_ORIGINS": "https://app.example.com",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            # The limit is counted, but never reached.
            "TASK_OPERATIONS_PER_SECOND": "1000000",
        }
        subjects = [
            Subject(await opened.enter_async_context(service(module, settings, folder / f"{module}.log")))
            for module in MODULES
        ]
        tokens = identity.tokens(USERS)
        for subject in subjects:
            await load(subject.service.port, CONNECTIONS, WARM_UP, tokens, PATH)
        with progress_bar("task status", rounds * len(subjects)) as bar:
            for number in range(rounds):
                for subject in subjects if number % 2 else reversed(subjects):
                    await subject.measure(tokens)
                    bar.update()
        return subjects


def figures(token: Subject, plain: Subject) -> list[Figure]:
    """Summarise the measurements."""
    return [
        Figure(
            "cpu_ms_per_status_read",
            median_of(token.cpu_ms),
            "ms",
            f"{spread(token.cpu_ms)}; plain {median_of(plain.cpu_ms):.3g}",
        ),
        Figure("p50_ms_at_64", median_of(token.p50_ms), "ms", f"plain {median_of(plain.p50_ms):.3g}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.task_status", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the medians are printed (default 7)")
    options = parser.parse_args()
    token, plain = run_in_folder(lambda folder: measure(folder, options.rounds))
    found = figures(token, plain)
    print(table(found))
    print(f"{os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in found}))


if __name__ == "__main__":
    main()
