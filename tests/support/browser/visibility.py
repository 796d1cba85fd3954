"""Headless tabs are never hidden, so the browser's event is simulated."""

from tests.support.browser.page import TaskPage


async def hide(page: TaskPage) -> None:
    await _set_visibility(page, "hidden")


async def unhide(page: TaskPage) -> None:
    await _set_visibility(page, "visible")


async def _set_visibility(page: TaskPage, state: str) -> None:
    await page.page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )
