"""`make bench-page`: loading time, publish to screen, and the page's thread and memory under many notifications.

Prints the figures. Needs Chromium and the built application; the size is printed by its build.
"""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import expect

from benchmarks.support.figures import Figure, table
from local.plan import ROOT
from tests.support.browser.chromium import chromium, fault_proxies
from tests.support.browser.devtools import chromium_devtools
from tests.support.browser.page import TaskPage, new_page
from tests.support.browser.performance import LISTED, Publish, memory, notification, publish_many
from tests.support.browser.stack import BrowserStack
from tests.support.processes.local_stack import LocalStack
from tests.support.requirements import missing_requirement

SINGLE = 100
MANY = 500
MANY_PER_SECOND = 50.0
RECORD_DELAYS = """
window.delays = [];
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    const sent = /published at (\\d+\\.\\d+)/.exec(node.textContent ?? "");
    if (sent && node.matches?.(".task, .tasks"))
      requestAnimationFrame(() => window.delays.push(performance.timeOrigin + performance.now() - Number(sent[1])));
  }
}).observe(document.querySelector("main"), { childList: true, subtree: true });
"""
"""From just before the publish to the first frame that shows the notification."""
STREAMED_MB = 240
STREAMED_CHARACTERS = 60_000
"""Of each text: 80 kB on the way, in base64."""


async def measure(page: TaskPage, publish: Publish) -> list[Figure]:
    interactive, live = await load(page)
    delays = await publish_one_by_one(page, publish)
    await publish_many(page, publish, LISTED)
    before = await memory(page)
    await page.page.evaluate("window.recorded.longTasks.length = 0")
    await publish_many(page, publish, MANY, MANY_PER_SECOND)
    longest = float(max(await page.recorded("longTasks"), default=0))
    after = await memory(page)
    return [
        Figure("signed-in load to interactive", interactive, "ms"),
        Figure("signed-in load to live", live, "ms"),
        Figure("publish to screen, p50", statistics.median(delays), "ms", f"{SINGLE} notifications"),
        Figure("publish to screen, p99", statistics.quantiles(delays, n=100)[98], "ms"),
        Figure("longest task of the page's thread", longest, "ms", f"{MANY} notifications in 10 s"),
        Figure("JavaScript heap", after.heap_mb, "MB", f"{before.heap_mb:.1f} MB before them"),
        Figure("renderer's memory", after.process_mb, "MB", f"{before.process_mb:.0f} MB before them"),
    ]


async def load(page: TaskPage) -> tuple[float, float]:
    """Milliseconds from the start of a signed-in load until tasks can be typed, and until the connection is live."""
    await page.page.reload(wait_until="commit")
    await page.page.locator("#task").wait_for()
    interactive: float = await page.page.evaluate("performance.now()")
    await page.expect_live()
    return interactive, await page.page.evaluate("performance.now()")


async def publish_one_by_one(page: TaskPage, publish: Publish) -> list[float]:
    await page.page.evaluate(RECORD_DELAYS)
    for number in range(SINGLE):
        await publish(notification(f"single-{number}"))
        await asyncio.sleep(0.05)
    await expect(page.task(f"single-{SINGLE - 1} ")).to_have_count(1)
    await page.wait_for(f"window.delays.length === {SINGLE}")
    delays: list[float] = await page.page.evaluate("window.delays")
    return delays


async def stream_much(stack: BrowserStack) -> Figure:
    """The growth of the page by what it has received and ignored: messages of a later version."""
    text = json.dumps({"unknown": "x" * STREAMED_CHARACTERS})
    async with (
        chromium_devtools(stack.local.page_url) as page,
        stack.publisher() as publisher,
        stack.emulating(
            maxPayloadBytes=2 * STREAMED_CHARACTERS,
            topicOperationsPerSecond=1e9,
            streamBufferMessages=100_000,
            historyMessages=0,
        ),
    ):
        await page.open(await stack.signed_in(await stack.sign_up()))
        await page.expect_live()
        topic = await stack.topic(await page.id_token())
        before = await page.memory_mb()
        for _ in range(STREAMED_MB * 750_000 // STREAMED_CHARACTERS):
            await publisher.publish(topic, text)
        await publisher.publish(topic, notification("the last"))
        await page.wait_for("document.querySelector('.task') !== null", within_seconds=120)
        return Figure(
            "renderer's growth by streaming", await page.memory_mb() - before, "MB", f"{STREAMED_MB} MB in base64"
        )


async def run(folder: Path) -> list[Figure]:
    (folder / "frontend").symlink_to(ROOT / "frontend")
    with LocalStack(folder) as local:
        stack = BrowserStack(local)
        streamed = await stream_much(stack)
        storage = await stack.signed_in(await stack.sign_up())
        async with (
            fault_proxies(local.ports) as network,
            chromium(network) as browser,
            await browser.new_context(storage_state=storage) as context,
            stack.publisher() as publisher,
        ):
            page = await new_page(context, local.page_url)
            await page.expect_live()
            topic = await stack.topic(await page.id_token())

            async def publish(text: str) -> None:
                await publisher.publish(topic, text)

            return [*await measure(page, publish), streamed]


def main() -> None:
    if reason := missing_requirement("chromium"):
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder:
        print(table(asyncio.run(run(Path(folder)))))


if __name__ == "__main__":
    main()
