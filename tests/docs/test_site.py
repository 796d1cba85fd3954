"""The built documentation site: search works, it looks nothing up elsewhere, and all of it can be reached."""

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
import pytest_asyncio
import yaml  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from k8s.docs_site.hooks import CONTRACTS
from local.plan import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    handler = functools.partial(_QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture
async def page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A page that fails the test when it asks another host, or reports an error."""
    page = await browser.new_page(base_url=url)
    problems: list[str] = []
    page.on("request", lambda request: None if _is_local(request.url, url) else problems.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    assert problems == []


def _is_local(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))


@pytest.mark.parametrize(
    ("word", "name"),
    [("idempotency", "submit-tasks.html"), ("origins", "local-stack.html"), ("LOCAL_ORIGINS", "local-stack.html")],
)
async def test_search_finds_a_page_by_a_word_of_its_text(word: str, name: str, page: Page) -> None:
    await page.goto("index.html")
    search = page.get_by_role("textbox", name="Search")
    # Until its index is loaded, the search ignores what is typed.
    await expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    await search.press_sequentially(word)
    results = page.locator(".md-search-result__link")
    await expect(results.first).to_be_visible()
    found = [await result.get_attribute("href") for result in await results.all()]
    assert any(name in str(address) for address in found)


@pytest.mark.parametrize(
    "name", ["index.html", "tutorials/react.html", "explanation/architecture.html", "reference/settings.html"]
)
async def test_a_page_is_shown_without_other_hosts(name: str, page: Page) -> None:
    await page.goto(name)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_a_contract_is_shown_without_other_hosts(contract: str, page: Page) -> None:
    title = yaml.safe_load((ROOT / "docs" / CONTRACTS[contract][1]).read_text())["info"]["title"]
    await page.goto(contract)
    await expect(page.get_by_role("heading", level=1).first).to_contain_text(title)
    await page.wait_for_load_state("networkidle")
    await page.get_by_role("link", name="Back to the documentation").click()
    await expect(page.get_by_role("heading", name="HTTP API", level=1)).to_be_visible()


def test_every_page_can_be_reached_from_the_first(site: Path) -> None:
    reached, waiting = set(), {"index.html"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        links = re.findall(r'<a [^>]*href="([^"]+)"', (site / name).read_text()) if name.endswith(".html") else []
        found = {urldefrag(urljoin(name, link)).url for link in links if not urlsplit(link).scheme}
        waiting |= {each for each in found if (site / each).is_file()} - reached
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    assert built - reached == set()
    assert set(CONTRACTS) <= reached
