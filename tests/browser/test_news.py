"""Tasks and what becomes of them, as a person sees it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import BrowserContext, Route, expect

from notification_api.client.sign_in import Credentials
from tests.browser.conftest import NewContext, OpenPage
from tests.support.browser.network import until_recorded
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<img src=x onerror=document.title='hit'>"
RIGHT_TO_LEFT = "\u202eشكرا جزيلا على كل شيء"  # noqa: RUF001 - what is tested
FOUR_BYTES = "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧‍👦 🏳️‍🌈 𠜎"  # noqa: RUF001 - what is tested


async def test_an_empty_list_says_what_to_do(page: TaskPage) -> None:
    await expect(page.page.get_by_text("No tasks yet.")).to_be_visible()


async def test_a_task_is_sent_with_enter_and_its_news_is_toasted_once(page: TaskPage) -> None:
    await page.send("just one")
    await page.shows("just one")
    await page.toasted("Finished task: just one")
    await expect(page.page.get_by_label("New task")).to_have_value("")
    await expect(page.page.get_by_label("New task")).to_be_focused()


async def test_a_task_is_sent_with_the_button(page: TaskPage) -> None:
    await page.page.get_by_label("New task").fill("by button")
    await page.page.get_by_role("button", name="Send").click()
    await page.shows("by button")


async def test_ten_tasks_sent_together_are_all_told(page: TaskPage) -> None:
    texts = [f"task number {number:02}" for number in range(10)]
    await page.send(*texts)
    for text in texts:
        await page.shows(text)
    await expect(page.page.locator(".task-title")).to_have_text(texts[::-1])


async def test_an_empty_task_is_refused_in_words(page: TaskPage) -> None:
    await page.send("  ")
    await expect(page.page.get_by_text("Write what is to be done.")).to_be_visible()
    await expect(page.page.get_by_label("New task")).to_have_attribute("aria-invalid", "true")


async def test_progress_is_shown_in_the_list_and_not_toasted(page: TaskPage) -> None:
    await page.send("steps 2: a long one")
    await page.shows("a long one", "sent")
    await page.shows("a long one", "working")
    await expect(page.task("a long one").locator(".task-text")).to_contain_text("of 2")
    await page.shows("a long one", "finished")
    assert list(await page.toasts()) == ["Finished task: steps 2: a long one"]


async def test_a_task_that_fails_says_so(page: TaskPage) -> None:
    await page.send("fail: on purpose")
    await page.shows("on purpose", "failed")
    (toast,) = await page.toasts()
    assert "The test says so" not in toast  # words for the user, nothing internal


@pytest.mark.parametrize("text", [HOSTILE, RIGHT_TO_LEFT, FOUR_BYTES], ids=["html", "right-to-left", "4-byte"])
async def test_any_text_is_shown_as_it_is_and_as_text_only(page: TaskPage, text: str) -> None:
    await page.send(text)
    await page.shows(text)
    await page.toasted(f"Finished task: {text}")
    assert await page.page.locator("img").count() == 0
    assert await page.page.title() == "Tasks"


async def test_a_task_that_the_service_refuses_says_why_and_can_be_removed(page: TaskPage, stack: BrowserStack) -> None:
    with stack.local.restarted("ingest", {"MAX_BODY_BYTES": "2000"}):
        await page.send("x" * 3_000)
        await page.shows("xxx", "refused")
    await page.task("xxx").get_by_role("button", name="Remove").click()
    await expect(page.page.locator(".task")).to_have_count(0)


async def test_news_counts_in_the_title_while_nobody_looks(page: TaskPage, stack: BrowserStack) -> None:
    await look_away(page)
    await stack.post(await page.id_token(), "one", "two")
    await expect(page.page).to_have_title("(2) Tasks", timeout=10_000)
    await look_back(page)
    await expect(page.page).to_have_title("Tasks")


async def test_the_system_notifies_only_once_asked_and_only_while_nobody_looks(
    page: TaskPage, stack: BrowserStack
) -> None:
    await page.page.evaluate(
        """() => {
          window.shown = [];
          window.asked = 0;
          window.Notification = class {
            static permission = "default";
            static async requestPermission() { window.asked += 1; return (Notification.permission = "granted"); }
            constructor(title, { body }) { window.shown.push(body); }
          };
        }"""
    )
    button = page.page.get_by_role("button", name="Notify me when I am elsewhere")
    assert await page.page.evaluate("window.asked") == 0
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await page.send("while looking")
    await page.shows("while looking")
    await look_away(page)
    await stack.post(await page.id_token(), "while away")
    await page.shows("while away")
    assert await page.page.evaluate("window.shown") == ["Finished task: while away"]


async def test_a_page_loaded_anew_shows_what_there_was_and_toasts_none_of_it_again(page: TaskPage) -> None:
    await page.send("the first", "the second")
    await page.shows("the first")
    await page.shows("the second")
    await page.page.reload()
    await page.live()
    await page.send("after")
    await page.toasted("Finished task: after")
    await expect(page.page.locator(".task")).to_have_count(3)
    assert list(await page.toasts()) == ["Finished task: after"]


async def test_a_new_browser_lists_the_past_and_toasts_none_of_it(
    page: TaskPage, user: Credentials, stack: BrowserStack, new_context: NewContext, open_page: OpenPage
) -> None:
    await page.send("from the past")
    await page.shows("from the past")
    storage = await stack.signed_in(user)
    await asyncio.sleep(1)  # by the service's clock, which a browser learns to the second
    fresh = await open_page(await new_context(storage))
    await fresh.shows("from the past")
    await fresh.send("from now on")
    await fresh.toasted("Finished task: from now on")
    assert list(await fresh.toasts()) == ["Finished task: from now on"]


async def test_news_of_a_task_that_was_faster_than_the_first_connection_is_toasted(
    context: BrowserContext, open_page: OpenPage, stack: BrowserStack
) -> None:
    async with streams_held_up(context):
        page = await open_page(context)
        await page.send("at once")
        await until_recorded(stack, await page.id_token(), 1)
        await page.state("connecting")
    await page.toasted("Finished task: at once")


@asynccontextmanager
async def streams_held_up(context: BrowserContext) -> AsyncIterator[None]:
    """Pages ask Momento for a stream, and it opens only when the block ends."""
    over = asyncio.Event()

    async def hold(route: Route) -> None:
        await over.wait()
        await route.continue_()

    await context.route("**/Subscribe", hold)
    try:
        yield
    finally:
        over.set()
        await context.unroute_all(behavior="wait")


async def look_away(page: TaskPage) -> None:
    """Headless tabs never hide: the page is told so as a browser would."""
    await set_visibility(page, "hidden")


async def look_back(page: TaskPage) -> None:
    await set_visibility(page, "visible")


async def set_visibility(page: TaskPage, state: str) -> None:
    await page.page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )
