"""Many notifications, and the memory of the application before and after them."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from tests.support.browser.page import TaskPage

LISTED = 1_000
"""The most tasks that the application lists."""

MAX_LONG_TASK_MS = 50
"""Above it a page feels slow, and browsers report a task of its thread as long."""

_SETTLE = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""The browser reports a long task before the next frame."""

Publish = Callable[[str], Awaitable[None]]
"""Publishes one text to the topic of the page's user."""


@dataclass(frozen=True, slots=True)
class Memory:
    heap_mb: float
    """The JavaScript heap, without the text of streams, which the browser stores outside of it."""
    process_mb: float
    """Private memory of the browser's renderers, with the text of streams."""


async def publish_many(page: TaskPage, publish: Publish, count: int, per_second: float | None = None) -> None:
    """Publish `count` notifications, at `per_second` or as fast as possible; return once the last one is listed."""
    started, label = time.monotonic(), f"batch-{time.time_ns()}"
    for number in range(count):
        await publish(notification(f"{label}-{number}"))
        if per_second:
            await asyncio.sleep(max(0.0, started + (number + 1) / per_second - time.monotonic()))
    await expect(page.task(f"{label}-{count - 1} ")).to_have_count(1, timeout=15_000)


@asynccontextmanager
async def long_tasks_while(page: TaskPage) -> AsyncIterator[list[float]]:
    """Yields a list that has, after the block, the milliseconds of CPU of each long task that the page observed.

    On a shared machine a task may also be long because it waits for a CPU.
    """
    browser = page.page.context.browser
    assert browser is not None
    await page.page.evaluate(_SETTLE)
    before, milliseconds = len(await page.recorded("longTasks")), list[float]()
    session = await browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    complete = asyncio.Event()
    session.on("Tracing.dataCollected", lambda found: events.extend(found["value"]))
    session.on("Tracing.tracingComplete", lambda _: complete.set())
    await session.send("Tracing.start", {"categories": "toplevel", "transferMode": "ReportEvents"})
    yield milliseconds
    await page.page.evaluate(_SETTLE)
    observed = len(await page.recorded("longTasks")) - before
    await session.send("Tracing.end")
    await complete.wait()
    await session.detach()
    milliseconds += _cpu_of_long_tasks(events) if observed else []


def _cpu_of_long_tasks(events: list[dict[str, Any]]) -> list[float]:
    pages = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        event["tdur"] / 1000
        for event in events
        if event["name"] == "ThreadControllerImpl::RunTask"
        and (event["pid"], event["tid"]) in pages
        and event.get("dur", 0) / 1000 > MAX_LONG_TASK_MS
    ]


async def memory(page: TaskPage) -> Memory:
    """After a garbage collection."""
    await page.page.evaluate("new Promise((done) => requestIdleCallback(done)).then(() => gc())")
    session = await page.page.context.new_cdp_session(page.page)
    await session.send("Performance.enable")
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    await session.detach()
    heap = next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")
    browser = page.page.context.browser
    assert browser is not None
    browser_session = await browser.new_browser_cdp_session()
    processes = (await browser_session.send("SystemInfo.getProcessInfo"))["processInfo"]
    await browser_session.detach()
    return Memory(heap / 1e6, renderers_mb(processes))


def notification(name: str) -> str:
    """A notification of a new task, whose message has the time of publishing in milliseconds."""
    now = time.time() * 1000
    message = f"{name} published at {now:.3f}"
    return json.dumps({"taskId": name, "status": "finished", "message": message, "time": int(now)})


def renderers_mb(processes: list[dict[str, Any]]) -> float:
    """Private memory of the renderers among a browser's processes."""
    return sum(_private_mb(each["id"]) for each in processes if each["type"] == "renderer")


def _private_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    private = re.findall(r"^Private_\w+:\s+(\d+) kB$", rollup, re.MULTILINE)
    return sum(map(int, private)) * 1024 / 1e6
