"""`python -m benchmarks.processor`: CPU time that a message costs the processor, beside a plain one.

Both run against a real queue server. The measured process is the processor as it is deployed;
`benchmarks.without_momento` is the same without the calls to Momento.
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.handlers import NAP_SECONDS
from benchmarks.support.child import python
from benchmarks.support.figures import Figure, table
from benchmarks.support.momento import Momento, momento
from benchmarks.support.queue_server import QueueServer, queue_server
from benchmarks.support.queues import BenchQueue, Queues, queues
from benchmarks.support.rounds import median_of, progress, run_in_folder, spread
from benchmarks.support.service import Account, Service, service

SLOTS = 200
MESSAGES = 8_000
TOLD_MESSAGES = 2_000
"""Fewer where each is told: the emulator, not the processor, sets that pace."""
NAPS = 10_000
MEMORY_MESSAGES = (5_000, 50_000)
LIMIT_LOOPS = 16
_WITHIN_SECONDS = 600.0
_WARM_SHARE = 0.15

UNTOLD = "benchmarks.without_momento"
REAL = "services.processor"


@dataclass(slots=True)
class Found:
    """What was measured, a value a round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return median_of(self.values[name])

    def spread(self, name: str) -> str:
        return spread(self.values[name])


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the rounds run."""

    server: QueueServer
    momento: Momento
    queues: Queues
    folder: Path
    bar: "tqdm[Any]"
    found: Found

    @asynccontextmanager
    async def filled(self, count: int) -> AsyncIterator[BenchQueue]:
        """A new queue with `count` tasks on it."""
        queue = await self.queues.new()
        await queue.fill(count)
        yield queue
        await self.queues.drop(queue)

    @asynccontextmanager
    async def processor(self, module: str, queue: BenchQueue, **settings: str) -> AsyncIterator[Service]:
        """A processor that works on `queue`."""
        environment = {
            **self.server.environment(),
            **self.momento.environment(),
            "TASK_QUEUE_URL": queue.url,
            "DEAD_LETTER_QUEUE_URL": queue.url,  # never used: no task of a benchmark fails
            "TASK_HANDLER": "benchmarks.handlers:nothing",
            "CONCURRENCY": str(SLOTS),
            "RECEIVE_WAIT_SECONDS": "1",
            **settings,
        }
        async with service(module, environment, self.folder / "processor.log") as running:
            yield running


async def cost(bench: Bench, name: str, module: str, count: int, **settings: str) -> None:
    """CPU time and SQS requests of a message, from when the process is warm until the queue is empty."""
    async with bench.filled(count) as queue, bench.processor(module, queue, **settings) as running:
        await queue.until_at_most(int(count * (1 - _WARM_SHARE)), _WITHIN_SECONDS)
        warm = await running.account(begins=True)
        await queue.until_at_most(0, _WITHIN_SECONDS)
        used = await running.account() - warm
    messages = _processed(used)
    bench.found.add(f"cpu_ms_{name}", used.cpu_seconds * 1000 / messages)
    bench.found.add(f"sqs_requests_{name}", used.sqs_calls / messages)
    bench.bar.update()


async def plain(bench: Bench, name: str, count: int, *, loops: int = 1, delete: str = "batch") -> None:
    """The same with the plain worker."""
    async with bench.filled(count) as queue:
        result = await _plain_run(bench, queue, count, loops, delete)
    bench.found.add(f"cpu_ms_{name}", result["cpu_seconds"] * 1000 / result["messages"])
    bench.found.add(f"seconds_{name}", result["seconds"])
    bench.bar.update()


async def naps(bench: Bench) -> None:
    """10,000 tasks of 50 ms on 200 slots, beside what the slots or the server allow at best."""
    await plain(bench, "limit", NAPS, loops=LIMIT_LOOPS)
    seconds_file = bench.folder / "naps"
    seconds_file.unlink(missing_ok=True)
    settings = {
        "TASK_HANDLER": "benchmarks.handlers:nap",
        "BENCHMARK_TASKS": str(NAPS),
        "BENCHMARK_SECONDS_FILE": str(seconds_file),
    }
    async with bench.filled(NAPS) as queue, bench.processor(UNTOLD, queue, **settings) as running:
        await _until_written(seconds_file)  # to ask for the depth makes the server count its messages
        await queue.until_at_most(0, _WITHIN_SECONDS)
        used = await running.account()
    seconds = float(seconds_file.read_text("ascii"))
    ideal = max(NAPS / SLOTS * NAP_SECONDS, bench.found.values["seconds_limit"][-1])
    bench.found.add("naps_seconds", seconds)
    bench.found.add("naps_cpu_seconds", used.cpu_seconds)
    bench.found.add("ideal_ratio", seconds / ideal)
    bench.bar.update()


async def _until_written(file: Path) -> None:
    async with asyncio.timeout(_WITHIN_SECONDS):
        while not file.exists():  # noqa: ASYNC110, ASYNC240 — another process writes it; a look costs microseconds
            await asyncio.sleep(0.1)


async def growth(bench: Bench) -> None:
    """Resident memory after 50,000 tasks against that after 5,000, of one process."""
    few, many = MEMORY_MESSAGES
    async with bench.filled(few) as queue, bench.processor(UNTOLD, queue) as running:
        await queue.until_at_most(0, _WITHIN_SECONDS)
        early = running.memory_mb()
        await queue.fill(many - few)
        await queue.until_at_most(0, _WITHIN_SECONDS)
        late = running.memory_mb()
    bench.found.add("memory_mb", late)
    bench.found.add("memory_ratio", late / early)
    bench.bar.update()


def _processed(used: Account) -> float:
    return used.metrics["notification_api_tasks_processed_total"]


async def _plain_run(bench: Bench, queue: BenchQueue, count: int, loops: int, delete: str) -> dict[str, float]:
    arguments = ("--queue-url", queue.url, "--loops", str(loops), "--count", str(count), "--delete", delete)
    process = await asyncio.create_subprocess_exec(
        *python("benchmarks.plain.processor", *arguments),
        env={**os.environ, **bench.server.environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("the plain worker ended early; see what it printed above")
    result: dict[str, float] = json.loads(said)
    return result


async def measure(folder: Path, rounds: int) -> tuple[str, Found]:
    """Measure everything in turns; answers the queue server's name and what was found."""
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(queue_server(folder))
        emulated = await opened.enter_async_context(momento(folder))
        makes = await opened.enter_async_context(queues(server))
        bar = opened.enter_context(progress("worker", rounds * 7 + 1))
        bench = Bench(server, emulated, makes, folder, bar, Found())
        for _ in range(rounds):
            await cost(bench, "untold", UNTOLD, MESSAGES)
            await plain(bench, "plain_batch", MESSAGES)
            await plain(bench, "plain_single", TOLD_MESSAGES, delete="single")
            await cost(bench, "published", REAL, TOLD_MESSAGES, HISTORY_RETENTION_SECONDS="0")
            await cost(bench, "recorded", REAL, TOLD_MESSAGES)
            await naps(bench)
        await growth(bench)
        return server.name, bench.found


def figures(found: Found) -> list[Figure]:
    untold, published = found.median("cpu_ms_untold"), found.median("cpu_ms_published")
    plain_ways = f"plain {found.median('cpu_ms_plain_batch'):.3g} in batches, {found.median('cpu_ms_plain_single'):.3g}"
    limit = f"server {found.median('seconds_limit'):.3g} s, slots {NAPS / SLOTS * NAP_SECONDS:.3g} s"
    return [
        Figure("cpu_ms_per_message", untold, "ms", 0.25, f"{found.spread('cpu_ms_untold')}; {plain_ways} one by one"),
        Figure(
            "sqs_requests_per_message",
            found.median("sqs_requests_untold"),
            "",
            0.3,
            found.spread("sqs_requests_untold"),
        ),
        Figure("publish_adds_cpu_ms", published - untold, "ms", None, "the momento SDK alone: 0.4 to 0.5"),
        Figure("record_adds_cpu_ms", found.median("cpu_ms_recorded") - published, "ms", None, "one cache write a task"),
        Figure(
            "ideal_ratio",
            found.median("ideal_ratio"),
            "",
            1.1,
            f"{found.spread('ideal_ratio')}; {found.median('naps_seconds'):.3g} s; {limit}; "
            f"CPU {found.median('naps_cpu_seconds'):.3g} s with start",
        ),
        Figure(
            "memory_ratio", found.median("memory_ratio"), "", 1.05, f"{found.median('memory_mb'):.0f} MB in the end"
        ),
        Figure("plain_cpu_ms_per_message", found.median("cpu_ms_plain_batch"), "ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are told (default 3)")
    options = parser.parse_args()
    server, found = run_in_folder(lambda folder: measure(folder, options.rounds))
    told = figures(found)
    print(table(told))
    print(f"against {server}; {os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in told} | {"queue_server": server}))


if __name__ == "__main__":
    main()
