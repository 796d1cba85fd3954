"""The list of tasks: what a row shows, its details, filters, and a list of a thousand tasks."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.browser.network import is_post_of_task
from tests.support.browser.page import TaskPage
from tests.support.browser.performance import MAX_LONG_TASK_MS, long_tasks_while
from tests.support.browser.stack import BrowserStack
from tests.support.browser.topic import UserTopic, now_ms, user_topic

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPORT = "Published: https://reports.example.com/2026/10.\n\nSummary\n  <img src=x onerror=document.title='hit'>"

SHOW_ALL = """() => new Promise((done) => {
  const next = () => {
    const count = document.querySelectorAll(".task").length;
    if (count === 1000) return done();
    if (count % 100 === 0) document.querySelector(".list-end button")?.click();
    requestAnimationFrame(next);
  };
  next();
})"""
"""In the page itself: locators would keep its thread busy."""
SCROLL_TO_END = """() => new Promise((done) => {
  const next = () => {
    scrollBy(0, 300);
    if (scrollY + innerHeight < document.documentElement.scrollHeight - 1) requestAnimationFrame(next);
    else done();
  };
  next();
})"""


@pytest_asyncio.fixture(loop_scope="session")
async def topic(page: TaskPage, stack: BrowserStack) -> AsyncIterator[UserTopic]:
    async with user_topic(page, stack) as topic:
        yield topic


async def test_a_task_of_another_device_has_its_title_type_result_and_duration(
    page: TaskPage, topic: UserTopic
) -> None:
    details = {"input": "Send the invoices", "type": "invoices", "startedAt": now_ms() - 5_000}
    await topic.publish("a", "finished", "Finished task: 42 sent", **details)
    await page.expect_task("Send the invoices")
    row = page.task("Send the invoices")
    await expect(row.locator(".task-title")).to_have_text("Send the invoices")
    await expect(row.locator(".task-message")).to_have_text("42 sent")
    await expect(row.locator(".chip")).to_have_text("invoices")
    await expect(row).to_contain_text("took 5 s")
    await expect(row.locator("time")).to_have_attribute("title", re.compile(r"20\d\d"))


async def test_a_task_keeps_its_title_over_a_page_load(page: TaskPage, topic: UserTopic) -> None:
    await topic.publish("a", "finished", "Finished task: 42 sent", title="A long text of which this is the beginning")
    await page.expect_task("A long text")
    await page.page.reload()
    await page.expect_task("A long text")
    await expect(page.task("A long text").locator(".task-message")).to_have_text("42 sent")


@pytest.mark.parametrize(("data", "result"), [("2", "2"), ("2", "slept 2")])
async def test_a_result_that_repeats_the_title_is_shown(
    page: TaskPage, topic: UserTopic, data: str, result: str
) -> None:
    await topic.publish("a", "finished", f"Finished task: {result}", input=data)
    await expect(page.page.locator(".task .task-message")).to_have_text(result)


async def test_progress_has_a_bar_and_a_retry_says_which_and_when(page: TaskPage, topic: UserTopic) -> None:
    await topic.publish("a", "progress", "412 of 640", input="Resize", percent=64.4, attempt=1, maxAttempts=5)
    await page.expect_task("Resize", "running")
    await expect(page.task("Resize")).to_contain_text("64 %")
    await expect(page.page.get_by_role("progressbar", name="Progress of Resize")).to_have_js_property("value", 64.4)
    await topic.publish(
        "a", "progress", "Retrying: attempt 2 of 5", input="Resize", attempt=2, nextAttemptAt=now_ms() + 60_000
    )
    await page.expect_task("Resize", "queued")
    await expect(page.task("Resize")).to_contain_text("Retrying 2 of 5")
    await expect(page.task("Resize")).to_contain_text(re.compile(r"Starts in \d+ s"))
    await expect(page.page.get_by_role("progressbar")).to_have_count(0)
    await topic.publish("a", "progress", "1 of 640", input="Resize", percent=0.2, attempt=1, time=now_ms() + 9_000)
    await topic.publish("b", "finished", "Finished task: later", input="later")
    await page.expect_task("later")
    await page.expect_task("Resize", "queued")  # an attempt never goes back


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"error": "Line 17 is empty.", "reason": "permanent"}, "Line 17 is empty."),
        ({"reason": "max_attempts", "attempt": 5}, "Every permitted attempt failed."),
        ({"reason": "timeout"}, "It ran for longer than it may."),
    ],
)
async def test_a_failed_task_says_why(page: TaskPage, topic: UserTopic, details: dict[str, object], text: str) -> None:
    await topic.publish("a", "failed", "Failed task: Import", input="Import", **details)
    await page.expect_task("Import", "failed")
    await expect(page.task("Import")).to_contain_text(text)
    await expect(page.task("Import").get_by_text("5 attempts")).to_have_count(int("attempt" in details))


async def test_the_details_have_the_whole_text_with_safe_links_and_the_data(page: TaskPage, topic: UserTopic) -> None:
    await topic.publish("a", "finished", f"Finished task: {REPORT}", input="Publish", data={"pages": 12})
    title = page.page.get_by_role("button", name="Publish", exact=True)
    await expect(title).to_have_attribute("aria-expanded", "false")
    await title.click()
    await expect(title).to_have_attribute("aria-expanded", "true")
    text = page.page.locator(".linked-text")
    assert await text.inner_text() == REPORT
    link = text.get_by_role("link")
    await expect(link).to_have_attribute("href", "https://reports.example.com/2026/10")
    await expect(link).to_have_attribute("rel", re.compile("noopener"))
    await expect(page.page.locator("pre")).to_have_text('{\n  "pages": 12\n}')
    assert await page.page.locator("main img").count() == 0
    await page.page.keyboard.press("Enter")
    await expect(page.page.locator(".task-details")).to_have_count(0)


async def test_filters_and_counts(page: TaskPage, topic: UserTopic) -> None:
    for number, status in enumerate(("finished", "failed", "expired", "cancelled")):
        await topic.publish(f"t{number}", status, f"{status.capitalize()} task: x", input=f"the {status} one")
    await topic.publish("running", "progress", "half", input="the running one")
    await expect(page.page.get_by_text("4 of 5 done")).to_be_visible()
    for name, titles in (
        ("Failed 2", ["the expired one", "the failed one"]),
        ("Active 1", ["the running one"]),
        ("All 5", ["the running one", "the cancelled one", "the expired one", "the failed one", "the finished one"]),
    ):
        await page.page.get_by_role("button", name=name).click()
        await expect(page.page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        await expect(page.page.locator(".task-title")).to_have_text(titles)
    await topic.publish("running", "finished", "Finished task: done")
    await page.page.get_by_role("button", name="Active 0").click()
    await expect(page.page.get_by_text("No task is active.")).to_be_visible()


async def test_the_example_of_an_empty_list_is_put_into_the_form(page: TaskPage) -> None:
    await page.page.get_by_role("button", name="Try").click()
    await expect(page.page.get_by_label("New task")).to_be_focused()
    await page.page.keyboard.press("Enter")
    await page.expect_task("Resize the pictures of October")


async def test_a_text_of_several_lines_is_one_task(page: TaskPage) -> None:
    field = page.page.get_by_label("New task")
    await field.fill("first line")
    await field.press("Shift+Enter")
    await page.page.keyboard.type("second line")
    await expect(page.page.get_by_text("The whole text is one task.")).to_be_visible()
    await field.press("Enter")
    await page.page.keyboard.type("third line")
    await field.press("Control+Enter")
    await page.expect_task("first line second line third line")
    await expect(page.page.locator(".task")).to_have_count(1)


async def test_the_options_are_sent_with_the_task(page: TaskPage) -> None:
    await page.page.get_by_role("button", name="Options").click()
    await page.page.get_by_role("combobox", name="Start", exact=True).select_option("In 10 seconds")
    await page.page.get_by_role("combobox", name="Expires").select_option("After 1 hour")
    async with page.page.expect_request(is_post_of_task) as sent:
        await page.send("later")
    assert (await sent.value).post_data_json == {"data": "later", "delaySeconds": 10, "ttlSeconds": 3600}
    await expect(page.task("later")).to_contain_text(re.compile(r"Starts in \d+ s"))


@pytest.mark.timeout(240)
async def test_a_thousand_tasks_are_listed_by_hundreds_and_scroll_without_long_tasks(
    page: TaskPage, topic: UserTopic
) -> None:
    start = now_ms() - 1_000_000
    for number in range(1_000):
        details = {"input": f"task {number:04}", "time": start + number, "startedAt": start}
        await topic.publish(f"t{number}", "finished", f"Finished task: result {number}", **details)
    await expect(page.page.get_by_text("1000 of 1000 done")).to_be_visible(timeout=60_000)
    await expect(page.page.locator(".task")).to_have_count(100)
    async with long_tasks_while(page) as while_adding:
        await page.page.evaluate(SHOW_ALL)
    await expect(page.page.locator(".task")).to_have_count(1_000)
    async with long_tasks_while(page) as while_scrolling:
        await page.page.evaluate(SCROLL_TO_END)
    await expect(page.page.get_by_text("Notifications are kept for 24 hours.")).to_be_in_viewport()
    await expect(page.page.locator(".task-title").last).to_have_text("task 0000")
    long = [one for one in while_scrolling + while_adding if one > MAX_LONG_TASK_MS]
    assert len(long) <= 1, long  # the collection of garbage may be one
