"""`make bench-page`: loading time, publish to screen, and the page's thread and memory under many notifications.

Prints the figures. Needs Chromium and the built application; the size is printed by its build.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import expect

from benchmarks.support.figures import Figure, table
from local.plan import ROOT
from tests.support.browser.chromium import chromium, fault_proxies
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


async def run(folder: Path) -> list[Figure]:
    (folder / "frontend").symlink_to(ROOT / "frontend")
    with LocalStack(folder) as local:
        stack = BrowserStack(local)
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

            return await measure(page, publish)


def main() -> None:
    if reason := missing_requirement("chromium"):
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder:
        print(table(asyncio.run(run(Path(folder)))))


if __name__ == "__main__":
    main()
