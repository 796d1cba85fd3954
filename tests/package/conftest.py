"""Fixtures: the packed client, the local stack, and Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.support.browser.chromium import ARGUMENTS
from tests.support.processes.local_stack import local_stack as local_stack
from tests.support.requirements import CHROMIUM, client_package


@pytest.fixture(scope="session")
def client_tarball() -> Path:
    """What npm would publish."""
    tarball = client_package()
    assert tarball is not None
    return tarball


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        async with browser:
            yield browser
