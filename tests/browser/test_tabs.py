"""Several tabs of a user: one stream, the same list, one toast."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import NewContext, OpenPage, press_try_now
from tests.support.browser.chromium import Network
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.tokens import put_storage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def toasts_of(*pages: TaskPage) -> list[str]:
    return sorted([text for page in pages for text in (await page.announced()).elements()])


async def test_all_tabs_list_a_task_with_one_toast_and_one_stream(
    page: TaskPage, open_page: OpenPage, stack: BrowserStack
) -> None:
    others = [await open_page(page.page.context) for _ in range(2)]
    for other in others:
        await other.expect_live()
    await page.send("for all tabs")
    for tab in (page, *others):
        await tab.expect_task("for all tabs")
    await page.send("one more")  # by its end, a repeated toast of the first task would have been shown
    for tab in (page, *others):
        await tab.expect_task("one more")
    assert await toasts_of(page, *others) == ["Finished task: for all tabs", "Finished task: one more"]
    assert await stack.streams_of(await page.id_token()) == 1


async def test_the_toast_is_shown_in_the_active_tab(page: TaskPage, open_page: OpenPage) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    await page.page.bring_to_front()
    await page.page.evaluate("dispatchEvent(new Event('focus'))")
    await other.page.evaluate("1")
    await page.send("seen here")
    await page.expect_announced("Finished task: seen here")
    await other.expect_task("seen here")
    assert not await other.announced()


async def test_a_tab_that_opens_later_shows_the_list(page: TaskPage, open_page: OpenPage) -> None:
    await page.send("already there", "wait 2: under way")
    await page.expect_task("already there")
    other = await open_page(page.page.context)
    await other.expect_task("already there")
    await other.expect_task("under way", "finished")


async def test_another_tab_takes_over_without_loss_when_the_leader_closes(
    page: TaskPage, open_page: OpenPage, stack: BrowserStack
) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    id_token = await page.id_token()
    await asyncio.gather(page.page.close(), stack.post(id_token, "during the handover"))
    await other.expect_task("during the handover")
    await other.expect_announced("Finished task: during the handover")
    await other.expect_live()
    await other.send("afterwards")
    await other.expect_task("afterwards")
    assert set((await other.announced()).values()) == {1}


async def test_a_task_can_be_sent_from_a_tab_that_is_not_the_leader(page: TaskPage, open_page: OpenPage) -> None:
    other = await open_page(page.page.context)
    await other.send("from the second tab")
    for tab in (page, other):
        await tab.expect_task("from the second tab")


async def test_every_tab_reports_a_lost_connection(page: TaskPage, open_page: OpenPage, network: Network) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    with network.momento.cut():
        for tab in (page, other):
            await expect(tab.page.get_by_text("The service cannot be reached.")).to_be_visible(timeout=15_000)
        await expect(other.page.get_by_role("button", name="Try now")).to_be_visible()
    await press_try_now(other)
    for tab in (page, other):
        await tab.expect_live()


async def test_two_users_see_only_their_own_tasks(
    page: TaskPage, stack: BrowserStack, new_context: NewContext, open_page: OpenPage
) -> None:
    bob = await open_page(await new_context(await stack.signed_in(await stack.sign_up())))
    await bob.expect_live()
    await asyncio.gather(page.send("of the first"), bob.send("of the second"))
    await page.expect_task("of the first")
    await bob.expect_task("of the second")
    await expect(page.page.locator(".task")).to_have_count(1)
    await expect(bob.page.locator(".task")).to_have_count(1)


async def test_a_page_never_acts_for_another_user_who_signed_in_meanwhile(page: TaskPage, stack: BrowserStack) -> None:
    bob = await stack.signed_in(await stack.sign_up())
    await put_storage(page.page.context, bob)
    await page.send("of the first")
    await expect(page.page.get_by_text("of the first")).to_have_count(0)
    await page.expect_live()  # as the second user
    assert await stack.notifications(await page.id_token()) == []


async def test_a_tab_takes_over_after_its_files_were_removed(
    page: TaskPage, open_page: OpenPage, stack: BrowserStack
) -> None:
    """As after a deploy, which replaces the files by others."""
    other = await open_page(page.page.context)
    await other.expect_live()
    await other.page.route("**/assets/*", lambda route: route.fulfill(status=404))
    id_token = await page.id_token()
    await page.page.close()
    await stack.post(id_token, "after the deploy")
    await other.expect_announced("Finished task: after the deploy")
    await other.expect_live()


async def test_a_tab_from_before_a_deploy_reloads_the_newer_page(page: TaskPage) -> None:
    documents: list[str] = []

    async def newer(route: Route) -> None:
        """The same page with another file name. Once a tab has loaded it, its files can be loaded."""
        if route.request.resource_type == "document":
            documents.append(route.request.url)
        answer = await route.fetch()
        await route.fulfill(response=answer, body=(await answer.text()).replace("/assets/index-", "/assets/./index-"))

    async def file(route: Route) -> None:
        await (route.continue_() if documents else route.fulfill(status=404))

    await page.page.route(f"{page.url}/", newer)
    await page.page.route("**/assets/*", file)
    await page.sign_out()
    assert len(documents) == 1
    ignore_load_errors(page)


def ignore_load_errors(page: TaskPage) -> None:
    """Vue logs it to the console too."""
    page.console[:] = [line for line in page.console if "/assets/SignInScreen" not in line]


async def test_a_sign_in_screen_that_cannot_be_loaded_is_reported_with_a_retry(page: TaskPage) -> None:
    await page.page.route("**/assets/SignInScreen*", lambda route: route.fulfill(status=404))
    await page.page.get_by_role("button", name="Sign out").click()
    await expect(page.page.get_by_role("alert")).to_contain_text("Check your network")
    await page.page.unroute("**/assets/SignInScreen*")
    await page.page.get_by_role("button", name="Try again").click()
    await expect(page.page.locator("input[name=username]")).to_be_visible()
    ignore_load_errors(page)
