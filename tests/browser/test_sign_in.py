"""Signing up, in and out, and what is left in the browser afterwards."""

import asyncio

import pytest
from playwright.async_api import Request, expect

from local.demo.sign_up import random_credentials
from notification_api.client import Credentials
from tests.browser.conftest import NewContext, OpenPage
from tests.support.browser.chromium import Network
from tests.support.browser.network import disconnected, wait_for_history
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_user_signs_up_with_the_mailed_code(new_context: NewContext, open_page: OpenPage) -> None:
    user, tab = random_credentials(), await open_page(await new_context())
    await tab.page.get_by_role("tab", name="Create Account").click()
    await tab.page.locator("input[name=email]").fill(user.email)
    await tab.page.locator("input[name=password]").fill(user.password)
    await tab.page.locator("input[name=confirm_password]").fill(user.password)
    await tab.page.get_by_role("button", name="Create Account").click()
    code = await mailed_code(tab, user)
    await tab.page.locator("input[name=confirmation_code]").fill(code)
    await tab.page.get_by_role("button", name="Confirm").click()
    await tab.expect_live()
    await tab.send("the first task")
    await tab.expect_task("the first task")


async def mailed_code(tab: TaskPage, user: Credentials) -> str:
    """The code, found by the link on the page."""
    async with tab.page.context.expect_page() as opened:
        await tab.page.get_by_role("link", name="read the codes here").click()
    mail = await opened.value
    code = await mail.locator("tr").filter(has_text=user.email).first.locator(".code").text_content()
    await mail.close()
    assert code
    return code


async def test_a_wrong_password_is_refused_with_a_message(
    new_context: NewContext, open_page: OpenPage, user: Credentials
) -> None:
    tab = await open_page(await new_context())
    await tab.page.locator("input[name=username]").fill(user.email)
    await tab.page.locator("input[name=password]").fill("Not-the-password-1")
    await tab.page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("Incorrect username or password")
    await tab.sign_in(user)


async def test_a_page_load_needs_no_second_sign_in_and_no_sign_in_screens(page: TaskPage) -> None:
    loaded: list[str] = []
    page.page.on("request", lambda request: loaded.append(request.url))
    await page.page.reload()
    await page.expect_live()
    assert not [url for url in loaded if "momento-" in url or "SignIn" in url]


async def test_typed_text_survives_a_page_load_until_it_is_sent(page: TaskPage) -> None:
    """As when the page reloads after a deploy."""
    field = page.page.get_by_label("New task")
    await field.fill("an unfinished text")
    await page.page.reload()
    await page.expect_live()
    await expect(field).to_have_value("an unfinished text")
    await field.press("Enter")
    await page.expect_task("an unfinished text")
    await page.page.reload()
    await page.expect_live()
    await expect(field).to_have_value("")


async def test_sign_out_clears_storage_and_the_next_user_sees_nothing(page: TaskPage, stack: BrowserStack) -> None:
    await page.send("a secret of the first")
    await page.expect_task("a secret of the first")
    first = await page.id_token()
    await page.send("wait 2: still running at sign-out")
    await page.expect_task("still running", "queued")
    assert await stack.streams_of(first) == 1
    await page.page.get_by_label("New task").fill("a secret that was not sent")
    await page.sign_out()
    for storage in ("localStorage", "sessionStorage"):
        assert await page.page.evaluate(f"Object.keys({storage}).filter((k) => k.startsWith('notification-api'))") == []
    await wait_for_no_stream(stack, first)
    await expect(page.page.get_by_text("a secret")).to_have_count(0)

    await page.sign_in(await stack.sign_up())
    await expect(page.page.get_by_label("New task")).to_have_value("")
    before = await page.announced()
    await stack.post(first, "wait 0: notification of the first")
    await wait_for_history(stack, first, 3)  # all tasks of the first user have been notified
    await page.send("my own")
    await page.expect_task("my own")
    await expect(page.page.locator(".task")).to_have_count(1)
    await page.expect_announced("Finished task: my own")
    assert await page.announced() - before == {"Finished task: my own": 1}


async def wait_for_no_stream(stack: BrowserStack, id_token: str) -> None:
    async with asyncio.timeout(5):
        while await stack.streams_of(id_token) > 0:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


async def test_signing_out_in_one_tab_signs_out_all(page: TaskPage, open_page: OpenPage) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    await page.sign_out()
    await expect(other.page.locator("input[name=username]")).to_be_visible()


async def test_a_sign_out_revokes_the_token_once_whatever_the_number_of_tabs(
    page: TaskPage, open_page: OpenPage
) -> None:
    revocations: list[str] = []

    def note(request: Request) -> None:
        if request.headers.get("x-amz-target", "").endswith("RevokeToken"):
            revocations.append(request.method)

    page.page.context.on("request", note)
    other = await open_page(page.page.context)
    await other.expect_live()
    await page.sign_out()
    await expect(other.page.locator("input[name=username]")).to_be_visible()
    assert revocations == ["POST"]


async def test_signing_out_does_not_wait_for_cognito(page: TaskPage, open_page: OpenPage, network: Network) -> None:
    with network.cognito.silent():
        await page.page.get_by_role("button", name="Sign out").click()
        await expect(page.page.locator("input[name=username]")).to_be_visible(timeout=2_000)
        assert await stored_tokens(page) == []
        other = await open_page(page.page.context)
        await expect(other.page.locator("input[name=username]")).to_be_visible()


async def test_a_sign_out_in_another_tab_shows_the_form_in_the_tab_that_signed_in(
    page: TaskPage, open_page: OpenPage, user: Credentials, stack: BrowserStack
) -> None:
    await page.sign_out()
    await page.sign_in(user)
    other = await open_page(page.page.context)
    await other.expect_live()
    await other.sign_out()
    await page.sign_in(await stack.sign_up())


async def stored_tokens(page: TaskPage) -> list[str]:
    found: list[str] = await page.page.evaluate("Object.keys(localStorage).filter((key) => key.endsWith('Token'))")
    return found


async def test_signing_in_again_repeats_no_toast(page: TaskPage, user: Credentials) -> None:
    await page.sign_out()
    await page.sign_in(user)
    await page.send("once")
    await page.expect_task("once")
    await page.expect_announced("Finished task: once")


async def test_signing_out_offline_leaves_no_token(page: TaskPage, network: Network) -> None:
    with disconnected(network):
        await page.sign_out()
    await page.page.reload()
    await expect(page.page.locator("input[name=username]")).to_be_visible()
    assert await stored_tokens(page) == []


async def test_a_tab_follows_a_sign_in_in_another_tab(page: TaskPage, open_page: OpenPage, user: Credentials) -> None:
    await page.sign_out()
    other = await open_page(page.page.context)
    await page.sign_in(user)
    await other.expect_live()
