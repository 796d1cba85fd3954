"""The application as a user sees and operates it."""

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from notification_api.client import Credentials

NOTIFIED_WITHIN_MS = 15_000
RECORD_PAGE = """
window.recorded = { announced: [], toasts: [], violations: [], longTasks: [] };
document.addEventListener("securitypolicyviolation", (event) =>
  window.recorded.violations.push(event.violatedDirective));
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.recorded.longTasks.push(Math.round(task.duration));
}).observe({ type: "longtask" });
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    const below = node.querySelectorAll?.("[data-announcement]") ?? [];
    const announcements = node.matches?.("[data-announcement]") ? [node] : below;
    for (const each of announcements) {
      const text = each.querySelector("[data-title]")?.textContent ?? "";
      window.recorded.announced.push(text);
      if (each.matches(".toast")) window.recorded.toasts.push(text);
    }
  }
}).observe(document, { childList: true, subtree: true });
"""
# The browser's own messages about failed requests, which these tests cause on purpose.
EXPECTED_IN_CONSOLE = re.compile(r"Failed to load resource|custom Amazon|blocked by CORS|net::ERR")


class RecordedPage(ABC):
    """One tab, in any browser, that records what the application announces (`RECORD_PAGE`)."""

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""

    @abstractmethod
    async def expect_state(self, state: str, within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        """Expect this state of the connection to be shown."""

    async def expect_live(self, within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        await self.expect_state("connected", within_ms)

    async def announced(self) -> Counter[str]:
        """Every announcement since the page was loaded: those shown as toasts, and those that were only read out."""
        return Counter(await self.recorded("announced"))

    async def expect_announced(self, *texts: str) -> None:
        """Expect one announcement for each text, made before or within 15 s."""
        for text in texts:
            with suppress(TimeoutError):
                await self.wait_for(f"window.recorded.announced.includes({json.dumps(text)})")
            assert (await self.announced())[text] == 1, (text, await self.announced())

    async def expect_nothing_announced_twice(self) -> None:
        """Expect at least one announcement, and each text once."""
        await self.wait_for("window.recorded.announced.length > 0")
        assert set((await self.announced()).values()) == {1}

    async def wait_for(self, expression: str, within_seconds: float = 15) -> None:
        """Return once the expression is true in the page; raises TimeoutError."""
        async with asyncio.timeout(within_seconds):
            while not await self.evaluate(expression):  # noqa: ASYNC110 - the application's state
                await asyncio.sleep(0.05)

    async def recorded(self, what: str) -> list[Any]:
        found: list[Any] = await self.evaluate(f"window.recorded.{what}")
        return found

    async def id_token(self) -> str:
        """The id token that the application sends."""
        stored: dict[str, str] = json.loads(await self.evaluate("JSON.stringify(localStorage)"))
        return next(value for name, value in stored.items() if name.endswith(".idToken"))


class TaskPage(RecordedPage):
    """One tab. `console` has the unexpected warnings and errors that it logged."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.console: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"warning", "error"} and not EXPECTED_IN_CONSOLE.search(message.text):
            self.console.append(message.text)

    async def open(self) -> None:
        await self.page.goto(self.url)

    async def evaluate(self, expression: str) -> Any:
        return await self.page.evaluate(expression)

    async def sign_in(self, user: Credentials) -> None:
        """Sign in on the form, and wait for a live connection."""
        await self.page.locator("input[name=username]").fill(user.email)
        await self.page.locator("input[name=password]").fill(user.password)
        await self.page.get_by_role("button", name="Sign in", exact=True).click()
        await self.expect_live()

    async def sign_out(self) -> None:
        await self.page.get_by_role("button", name="Sign out").click()
        await expect(self.page.locator("input[name=username]")).to_be_visible(timeout=NOTIFIED_WITHIN_MS)

    async def expect_state(self, state: str, within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        await expect(self.page.locator(f".connection[data-state={state}]")).to_be_visible(timeout=within_ms)

    async def send(self, *texts: str) -> None:
        """Send each text as a task, immediately one after another, with Enter."""
        field = self.page.get_by_label("New task")
        await self.page.get_by_label("One task per line").set_checked(len(texts) > 1)
        await field.fill("\n".join(texts))
        await field.press("Control+Enter" if len(texts) > 1 else "Enter")

    def task(self, text: str) -> Locator:
        return self.page.locator(".task").filter(has_text=text)

    async def expect_task(self, text: str, state: str = "finished", within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        """Expect one task of this text in the list, in this state."""
        found = self.page.locator(f".task[data-state={state}]").filter(has_text=text)
        await expect(found).to_have_count(1, timeout=within_ms)
        await expect(self.task(text)).to_have_count(1, timeout=within_ms)


async def new_page(context: BrowserContext, url: str, script: str = "") -> TaskPage:
    """Open a tab that records toasts, policy violations and long tasks from the start, and runs `script` before."""
    page = TaskPage(await context.new_page(), url)
    await page.page.add_init_script(RECORD_PAGE + script)
    await page.open()
    return page
