"""Fixtures: the local stack, Chromium behind fault proxies, and a signed-in user."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, StorageState, async_playwright

from local.plan import ROOT
from notification_api.client import Credentials
from tests.support.browser.chromium import ARGUMENTS, VIEWPORT, Network, chromium, chromium_with_profile, fault_proxies
from tests.support.browser.page import TaskPage, new_page
from tests.support.browser.stack import BrowserStack
from tests.support.browser.tokens import put_storage
from tests.support.processes.local_stack import LocalStack
from tests.support.requirements import CHROMIUM

HANDLER = {"TASK_HANDLER": "tests.support.browser.handler:handle"}
OpenPage = Callable[..., Awaitable[TaskPage]]
NewContext = Callable[..., Awaitable[BrowserContext]]


async def press_try_now(page: TaskPage) -> None:
    """Press the button, if it is still shown: the page may have retried in the same moment."""
    await page.page.get_by_role("button", name="Try now").evaluate_all(
        "buttons => buttons.forEach(button => button.click())"
    )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserStack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "frontend").symlink_to(ROOT / "frontend")
    with LocalStack(folder, {"processor": HANDLER}) as local_stack:
        yield BrowserStack(local_stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def network(stack: BrowserStack) -> AsyncIterator[Network]:
    async with fault_proxies(stack.local.ports) as network:
        yield network


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other_chromium(network: Network) -> AsyncIterator[Browser]:
    """For contexts that share nothing with others."""
    async with chromium(network) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium_alone(stack: BrowserStack) -> AsyncIterator[Browser]:
    """Without proxies. A foreign name resolves to this machine."""
    async with async_playwright() as playwright:
        arguments = [*ARGUMENTS, "--host-resolver-rules=MAP foreign.test 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def user(stack: BrowserStack) -> Credentials:
    """A user who has signed up and confirmed."""
    return await stack.sign_up()


@pytest_asyncio.fixture(loop_scope="session")
async def new_context(other_chromium: Browser) -> AsyncIterator[NewContext]:
    """Creates browser contexts, each with a storage of its own."""
    async with AsyncExitStack() as contexts:

        async def new(storage: StorageState | None = None) -> BrowserContext:
            context = await other_chromium.new_context(viewport=VIEWPORT, storage_state=storage)
            return await contexts.enter_async_context(context)

        yield new


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(stack: BrowserStack) -> AsyncIterator[OpenPage]:
    """Opens tabs. Afterwards none may have violated the page's policy or written to the console."""
    pages: list[TaskPage] = []

    async def open_one(context: BrowserContext, script: str = "") -> TaskPage:
        pages.append(await new_page(context, stack.page_url, script))
        return pages[-1]

    yield open_one
    for page in pages:
        assert page.console == []
        if not page.page.is_closed():
            assert await page.recorded("violations") == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def warm_context(network: Network) -> AsyncIterator[BrowserContext]:
    """One context for all tests: a new one would fetch and compile the whole application, which takes two seconds."""
    with TemporaryDirectory() as profile:
        async with chromium_with_profile(network, Path(profile)) as context:
            yield context


@pytest_asyncio.fixture(loop_scope="session")
async def context(
    warm_context: BrowserContext, stack: BrowserStack, user: Credentials
) -> AsyncIterator[BrowserContext]:
    """The browser of a signed-in user, without what another test has stored."""
    await put_storage(warm_context, await stack.signed_in(user))
    yield warm_context
    await warm_context.set_offline(False)
    for page in warm_context.pages[1:]:  # the first is that of put_storage
        await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, open_page: OpenPage) -> TaskPage:
    """A tab of a signed-in user, with a live connection."""
    page = await open_page(context)
    await page.expect_live()
    return page
