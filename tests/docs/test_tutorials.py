"""Every command, file and output of the tutorials and of the README's first steps is what a reader gets."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from local.plan import ROOT
from tests.support.docs.tutorial import Block, Reader, sections_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FOLDER = ROOT / "docs/tutorials"
expect.set_options(timeout=30_000)


def sections(name: str) -> dict[str, list[Block]]:
    return sections_of((FOLDER / name).read_text())


async def follow(reader: Reader, blocks: list[Block]) -> None:
    await asyncio.to_thread(reader.follow, blocks)


@pytest.mark.parametrize("name", ["react.md", "vue.md", "plain.md"])
async def test_an_application_shows_notifications(name: str, reader: Reader, browser: Browser) -> None:
    page = sections(name)
    for heading, blocks in page.items():
        await follow(reader, blocks)
        if heading == "4. Run it":
            tab = await open_app(browser, reader)
            await expect(tab.get_by_text("Connection: connected")).to_be_visible()
            await tab.get_by_role("button", name="Submit a task").click()
            await expect(tab.get_by_text("Finished task: hello")).to_be_visible()
            await tab.close()
        if heading == "5. Close the tab, and miss nothing":
            tab = await open_app(browser, reader)
            await expect(tab.get_by_text("Finished task: while you were away")).to_be_visible()
    assert {"4. Run it", "5. Close the tab, and miss nothing"} <= set(page)


async def open_app(browser: Browser, reader: Reader) -> Page:
    page = await browser.new_page()
    await page.goto(reader.app_url)
    return page


async def test_a_first_task_type(reader: Reader, browser: Browser) -> None:
    for blocks in sections("first-task-type.md").values():
        await follow(reader, blocks)
    for path, row in {"/dev": ("report", "finished"), "/dev/dead-letters": ("mail", "not an address")}.items():
        page = await browser.new_page()  # its own, since the list reloads itself
        await page.goto(reader.api_url + path)
        await expect(page.get_by_role("row").filter(has_text=row[0]).filter(has_text=row[1])).to_be_visible()


def test_a_python_backend(reader: Reader) -> None:
    for blocks in sections("python.md").values():
        reader.follow(blocks)


def test_the_first_steps_of_the_readme(reader: Reader) -> None:
    reader.follow(sections_of((ROOT / "README.md").read_text())["Try it"])
