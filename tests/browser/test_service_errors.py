"""Services that restart, are busy or refuse: the page reports the error and recovers."""

import asyncio

import pytest
from aiobotocore.session import get_session
from playwright.async_api import BrowserContext, expect

from notification_api.client import Credentials
from tests.browser.conftest import OpenPage, press_try_now
from tests.support.browser.chromium import Network
from tests.support.browser.network import answering_posts
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.tokens import expire_tokens, expire_tokens_of, put_storage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", ["token", "ingest", "processor", "momento"])
async def test_a_restarting_service_loses_no_notification(page: TaskPage, stack: BrowserStack, name: str) -> None:
    await page.send("before the restart")
    await page.expect_task("before the restart")
    await asyncio.to_thread(stack.local.stop, name)
    await page.send("while it is down")
    await asyncio.to_thread(stack.local.start, name)
    await page.expect_task("while it is down", within_ms=30_000)
    await page.expect_live(within_ms=30_000)
    await page.send("after the restart")
    await page.expect_task("after the restart", within_ms=30_000)
    await page.expect_nothing_announced_twice()


async def test_a_busy_token_service_is_reported_and_retried(page: TaskPage, network: Network) -> None:
    with network.api.answering(503):
        network.momento.drop()
        await page.page.reload()
        await page.expect_state("reconnecting")
        await expect(page.page.get_by_text("The service is busy or temporarily unavailable.")).to_be_visible()
        await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    await press_try_now(page)
    await page.expect_live()
    await expect(page.page.get_by_text("busy or temporarily")).to_have_count(0)


async def test_a_user_over_quota_is_informed_and_no_task_is_lost(page: TaskPage, stack: BrowserStack) -> None:
    with stack.local.restarted("ingest", {"TASKS_PER_MINUTE": "6"}):
        await page.send(*(f"task {number:02}" for number in range(9)))
        await expect(page.page.get_by_text("You have reached your limit of tasks")).to_be_visible()
    for number in (0, 8):
        await page.expect_task(f"task {number:02}", within_ms=30_000)


async def test_a_refused_origin_is_reported_as_an_unreachable_service(page: TaskPage, stack: BrowserStack) -> None:
    with stack.local.restarted("ingest", {"ALLOWED_ORIGINS": "https://elsewhere.example"}):
        await page.send("from a foreign origin")
        await expect(page.page.get_by_text("The service cannot be reached.")).to_be_visible()
        await page.expect_task("from a foreign origin", "pending")
        await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    await press_try_now(page)
    await page.expect_task("from a foreign origin")


async def test_an_expired_id_token_is_refreshed_unnoticed(
    context: BrowserContext, stack: BrowserStack, user: Credentials, open_page: OpenPage
) -> None:
    aged = expire_tokens(await stack.signed_in(user))
    await put_storage(context, aged)
    page = await open_page(context)
    await page.expect_live()
    await page.send("with a fresh token")
    await page.expect_task("with a fresh token")
    assert await page.id_token() not in {each["value"] for each in aged["origins"][0]["localStorage"]}


SEND_AND_CONTINUE_TYPING = """(field) => {
  const type = (text) => { field.value = text; field.dispatchEvent(new Event("input")); };
  type("sent too late");
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", cancelable: true }));
  type("not sent yet");
}"""
"""In one step: the first task ends the session and removes the form."""


async def test_an_expired_session_is_reported_and_keeps_what_was_sent(
    page: TaskPage, stack: BrowserStack, user: Credentials
) -> None:
    """The id token has run out, and Cognito refuses the refresh token."""
    await revoke_session(stack, user)
    await expire_tokens_of(page.page)
    await page.page.get_by_label("New task").evaluate(SEND_AND_CONTINUE_TYPING)
    await expect(page.page.get_by_text("Your session has expired.")).to_be_visible(timeout=10_000)
    await page.sign_in(user)
    await page.expect_task("sent too late")
    await expect(page.page.get_by_label("New task")).to_have_value("not sent yet")


async def test_a_session_that_the_services_refuse_has_expired(
    page: TaskPage, context: BrowserContext, user: Credentials
) -> None:
    async with answering_posts(context, 401, lambda _: True):
        await page.send("sent too late")
        await expect(page.page.get_by_text("Your session has expired.")).to_be_visible(timeout=10_000)
    await page.sign_in(user)
    await page.expect_task("sent too late")


async def test_a_page_whose_session_expired_while_it_was_closed_asks_to_sign_in(
    context: BrowserContext, stack: BrowserStack, user: Credentials, open_page: OpenPage
) -> None:
    aged = expire_tokens(await stack.signed_in(user))
    await revoke_session(stack, user)
    await put_storage(context, aged)
    page = await open_page(context)
    await page.sign_in(user)


async def test_a_cognito_that_does_not_answer_is_reported_with_a_retry(
    context: BrowserContext, stack: BrowserStack, user: Credentials, open_page: OpenPage, network: Network
) -> None:
    await put_storage(context, expire_tokens(await stack.signed_in(user)))
    with network.cognito.silent():
        page = await open_page(context)
        await expect(page.page.get_by_role("alert")).to_contain_text("does not answer", timeout=15_000)
    await page.page.get_by_role("button", name="Try again").click()
    await page.expect_live()


async def revoke_session(stack: BrowserStack, user: Credentials) -> None:
    """Invalidate the refresh token."""
    async with get_session().create_client("cognito-idp", **stack.local.aws_client()) as cognito:
        await cognito.admin_user_global_sign_out(UserPoolId=stack.local.outputs.user_pool_id, Username=user.email)


async def test_unavailable_settings_are_reported_with_a_retry(page: TaskPage) -> None:
    await page.page.route("**/config.json", lambda route: route.fulfill(status=503))
    await page.page.reload()
    await expect(page.page.get_by_role("alert")).to_contain_text("/config.json answered 503")
    await page.page.unroute("**/config.json")
    await page.page.get_by_role("button", name="Try again").click()
    await page.expect_live()
