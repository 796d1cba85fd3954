"""`python -m benchmarks.processor`: CPU time of the processor for each message, beside a plain implementation.

Both use a real queue server. The measured process is the processor as it is deployed; `benchmarks.without_momento` is
the same without the calls to Momento.
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

from benchmarks.support.figures import Figure, table
from benchmarks.support.momento import Momento, momento
from benchmarks.support.queue_server import QueueServer, queue_server
from benchmarks.support.queues import BenchQueue, Queues, queues
from benchmarks.support.rounds import median_of, progress_bar, run_in_folder, spread
from benchmarks.support.service import Account, Service, service
from tests.support.processes.child import plain_python

SLOTS = 200
MESSAGES = 8_000
PUBLISHED_MESSAGES = 2_000
"""Fewer where each one is published, since the emulator limits the speed."""
SLEEPING_TASKS = 10_000
MEMORY_MESSAGES = (5_000, 50_000)
ROUND_STEPS = 6
_TIMEOUT_SECONDS = 600.0
_WARM_SHARE = 0.15

WITHOUT_MOMENTO = "benchmarks.without_momento"
PROCESSOR = "services.processor"


@dataclass(slots=True)
class Measurements:
    """The measured values by name, one for each round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return median_of(self.values[name])

    def spread(self, name: str) -> str:
        return spread(self.values[name])


@dataclass(frozen=True, slots=True)
class Bench:
    """What the rounds share."""

    server: QueueServer
    momento: Momento
    queues: Queues
    folder: Path
    bar: "tqdm[Any]"
    measurements: Measurements

    @asynccontextmanager
    async def filled(self, count: int) -> AsyncIterator[BenchQueue]:
        """Create a queue with `count` tasks."""
        queue = await self.queues.new()
        await queue.fill(count)
        yield queue
        await self.queues.drop(queue)

    @asynccontextmanager
    async def processor(self, module: str, queue: BenchQueue, **settings: str) -> AsyncIterator[Service]:
        """Run a processor on `queue`."""
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
    """Measure CPU time and SQS requests for each message, from a warm process until the queue is empty."""
    async with bench.filled(count) as queue, bench.processor(module, queue, **settings) as running:
        await queue.wait_until_at_most(int(count * (1 - _WARM_SHARE)), _TIMEOUT_SECONDS)
        warm = await running.account(begins=True)
        await queue.wait_until_at_most(0, _TIMEOUT_SECONDS)
        used = await running.account() - warm
    messages = _processed(used)
    bench.measurements.add(f"cpu_ms_{name}", used.cpu_seconds * 1000 / messages)
    bench.measurements.add(f"sqs_requests_{name}", used.sqs_calls / messages)
    bench.bar.update()


async def plain(bench: Bench, name: str, count: int, *, delete: str = "batch") -> None:
    """Measure the plain implementation in the same way."""
    async with bench.filled(count) as queue:
        result = await _run_plain(bench, queue, count, delete)
    bench.measurements.add(f"cpu_ms_{name}", result["cpu_seconds"] * 1000 / result["messages"])
    bench.bar.update()


async def sleeping_tasks(bench: Bench) -> None:
    """Measure 10,000 tasks that sleep 50 ms, with 200 slots."""
    seconds_file = bench.folder / "seconds"
    seconds_file.unlink(missing_ok=True)
    settings = {
        "TASK_HANDLER": "benchmarks.handlers:sleep",
        "BENCHMARK_TASKS": str(SLEEPING_TASKS),
        "BENCHMARK_SECONDS_FILE": str(seconds_file),
    }
    async with (
        bench.filled(SLEEPING_TASKS) as queue,
        bench.processor(WITHOUT_MOMENTO, queue, **settings) as running,
    ):
        await _wait_for_file(seconds_file)  # reading the depth would make the server count its messages
        await queue.wait_until_at_most(0, _TIMEOUT_SECONDS)
        used = await running.account()
    bench.measurements.add("sleeping_seconds", float(seconds_file.read_text("ascii")))
    bench.measurements.add("sleeping_cpu_seconds", used.cpu_seconds)
    bench.bar.update()


async def _wait_for_file(file: Path) -> None:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while not file.exists():  # noqa: ASYNC110, ASYNC240 — another process writes it, and the check takes microseconds
            await asyncio.sleep(0.1)


async def memory_growth(bench: Bench) -> None:
    """Measure the resident memory of one process after 50,000 tasks, compared with 5,000."""
    few, many = MEMORY_MESSAGES
    async with bench.filled(few) as queue, bench.processor(WITHOUT_MOMENTO, queue) as running:
        await queue.wait_until_at_most(0, _TIMEOUT_SECONDS)
        early = running.memory_mb()
        await queue.fill(many - few)
        await queue.wait_until_at_most(0, _TIMEOUT_SECONDS)
        late = running.memory_mb()
    bench.measurements.add("memory_mb", late)
    bench.measurements.add("memory_ratio", late / early)
    bench.bar.update()


def _processed(used: Account) -> float:
    return used.metrics["notification_api_tasks_processed_total"]


async def _run_plain(bench: Bench, queue: BenchQueue, count: int, delete: str) -> dict[str, float]:
    arguments = ("--queue-url", queue.url, "--count", str(count), "--delete", delete)
    process = await asyncio.create_subprocess_exec(
        *plain_python("benchmarks.plain.processor", *arguments),
        env={**os.environ, **bench.server.environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("the plain processor ended early; see its output above")
    result: dict[str, float] = json.loads(printed)
    return result


async def measure(folder: Path, rounds: int) -> tuple[str, Measurements]:
    """Measure alternately; return the queue server's name and the measurements."""
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(queue_server(folder))
        emulator = await opened.enter_async_context(momento(folder))
        created_queues = await opened.enter_async_context(queues(server))
        bar = opened.enter_context(progress_bar("processor", rounds * ROUND_STEPS + 1))
        bench = Bench(server, emulator, created_queues, folder, bar, Measurements())
        for _ in range(rounds):
            await cost(bench, "without_momento", WITHOUT_MOMENTO, MESSAGES)
            await plain(bench, "plain_batch", MESSAGES)
            await plain(bench, "plain_single", PUBLISHED_MESSAGES, delete="single")
            await cost(bench, "published", PROCESSOR, PUBLISHED_MESSAGES, HISTORY_RETENTION_SECONDS="0")
            await cost(bench, "history", PROCESSOR, PUBLISHED_MESSAGES)
            await sleeping_tasks(bench)
        await memory_growth(bench)
        return server.name, bench.measurements


def figures(found: Measurements) -> list[Figure]:
    """Summarise the measurements."""
    without_momento, published = found.median("cpu_ms_without_momento"), found.median("cpu_ms_published")
    plain_batch, plain_single = found.median("cpu_ms_plain_batch"), found.median("cpu_ms_plain_single")
    plain_note = f"plain {plain_batch:.3g} in batches, {plain_single:.3g} one by one"
    few, many = MEMORY_MESSAGES
    return [
        Figure("cpu_ms_per_message", without_momento, "ms", f"{found.spread('cpu_ms_without_momento')}; {plain_note}"),
        Figure("ratio_to_plain_batch", without_momento / plain_batch, ""),
        Figure(
            "sqs_requests_per_message",
            found.median("sqs_requests_without_momento"),
            "",
            found.spread("sqs_requests_without_momento"),
        ),
        Figure("publish_adds_cpu_ms", published - without_momento, "ms", "the Momento SDK alone: 0.4 to 0.5"),
        Figure("history_adds_cpu_ms", found.median("cpu_ms_history") - published, "ms", "one cache write per task"),
        Figure(
            "sleeping_tasks_seconds",
            found.median("sleeping_seconds"),
            "s",
            f"{found.spread('sleeping_seconds')}; CPU {found.median('sleeping_cpu_seconds'):.3g} s including start",
        ),
        Figure(
            "memory_ratio",
            found.median("memory_ratio"),
            "",
            f"{found.median('memory_mb'):.0f} MB after {many:,} tasks, compared with {few:,}",
        ),
        Figure("plain_cpu_ms_per_message", plain_batch, "ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are printed (default 3)")
    options = parser.parse_args()
    server, found = run_in_folder(lambda folder: measure(folder, options.rounds))
    summary = figures(found)
    print(table(summary))
    print(f"against {server}; {os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in summary} | {"queue_server": server}))


if __name__ == "__main__":
    main()
