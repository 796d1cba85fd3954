"""The real stack, a real browser, and a signed-in person."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from local.demo.identity import Credentials
from local.plan import ROOT
from tests.support.browser_chromium import FaultyBrowser, Network, faulty_browser, missing
from tests.support.browser_page import TaskPage, new_page
from tests.support.browser_stack import BrowserStack
from tests.support.local_stack import LocalStack

HANDLER = {"TASK_HANDLER": "tests.support.browser_handler:handle"}
OpenPage = Callable[..., Awaitable[TaskPage]]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserStack]:
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("stack")
    (folder / "frontend").symlink_to(ROOT / "frontend")
    with LocalStack(folder, {"processor": HANDLER}) as local_stack:
        yield BrowserStack(local_stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(stack: BrowserStack) -> AsyncIterator[FaultyBrowser]:
    async with faulty_browser(stack.local.ports) as browser:
        yield browser


@pytest.fixture
def network(chromium: FaultyBrowser) -> Network:
    return chromium.network


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: FaultyBrowser) -> AsyncIterator[BrowserContext]:
    """One person's browser: storage of its own."""
    async with await chromium.browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(context: BrowserContext, stack: BrowserStack) -> AsyncIterator[OpenPage]:
    """Opens tabs; in the end each must have kept to the page's policy, and said nothing unexpected."""
    pages: list[TaskPage] = []

    async def open_one() -> TaskPage:
        pages.append(await new_page(context, stack.local.page_url))
        return pages[-1]

    yield open_one
    for page in pages:
        assert page.console == []
        if not page.page.is_closed():
            assert await page.watched("violations") == []


@pytest_asyncio.fixture(loop_scope="session")
async def user(stack: BrowserStack) -> Credentials:
    """Somebody who has signed up and confirmed."""
    return await stack.sign_up()


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: OpenPage, user: Credentials) -> TaskPage:
    """A tab in which somebody has signed in."""
    page = await open_page()
    await page.sign_in(user)
    return page

