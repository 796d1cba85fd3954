"""The example of a production host: a real nginx with the example's configuration."""

import gzip
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from local.page.api import service_of
from local.page.security import FIXED_HEADERS, content_security_policy
from tests.support.ports import free_port
from tests.support.processes.nginx import TEMPLATE, nginx

pytestmark = pytest.mark.nginx

CONNECT_SRC = ("https://api.example.com", "https://cognito-idp.us-east-1.amazonaws.com")
SCRIPT = b"console.log('page');" * 100
ASSET = "/assets/index-AbCd_123.js"
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def services() -> AsyncIterator[dict[str, str]]:
    """Stand-ins for the services: each answers with its name and what it got."""

    async def handle(name: str, request: web.Request) -> web.Response:
        got = f"{name} {request.method} {request.raw_path} {(await request.read()).decode()}"
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Location": "/task/1"}
        return web.Response(status=202, text=got, headers=headers)

    async with AsyncExitStack() as stack:
        urls = {}
        for name in ("token", "ingest"):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", partial(handle, name))
            server = await stack.enter_async_context(TestServer(app))
            urls[name] = str(server.make_url("")).rstrip("/")
        yield urls


@pytest.fixture
async def client(tmp_path: Path, services: dict[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    root = tmp_path / "page"
    (root / "assets").mkdir(parents=True)
    (root / ".vite").mkdir()
    (root / "index.html").write_text("<!doctype html>application")
    (root / "config.json").write_text("{}")
    (root / "icon.svg").write_text("<svg/>")
    (root / ".vite" / "manifest.json").write_text("{}")
    (root / ASSET[1:]).write_bytes(SCRIPT)
    (root / f"{ASSET[1:]}.gz").write_bytes(gzip.compress(SCRIPT))
    async with (
        nginx(tmp_path, root, " ".join(CONNECT_SRC), services) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def test_it_has_a_path_for_probes(client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz") as answer:
        assert answer.status == 204


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/config.json", "/icon.svg", ASSET, "/assets/missing.js", "/.git"]
)
async def test_every_answer_has_the_headers_of_the_local_server_and_hsts(
    client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(path) as answer:
        headers = answer.headers
    assert {name: headers[name] for name in FIXED_HEADERS} == FIXED_HEADERS
    assert headers["Content-Security-Policy"] == content_security_policy(CONNECT_SRC)
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert re.fullmatch(r"nginx(/1\.0)?", headers["Server"])
    for name in (*FIXED_HEADERS, "Content-Security-Policy", "Cache-Control"):
        assert len(headers.getall(name)) == 1


@pytest.mark.parametrize(
    ("path", "status", "cache_control"),
    [
        ("/", 200, "no-cache"),
        ("/index.html", 200, "no-cache"),
        ("/any/path?x=1", 200, "no-cache"),
        ("/config.json", 200, "no-store"),
        ("/icon.svg", 200, "no-cache"),
        (ASSET, 200, IMMUTABLE),
        ("/assets/index-OfBefore1.js", 404, "no-cache"),
        ("/assets/", 404, "no-cache"),
        ("/.vite/manifest.json", 404, "no-cache"),
        ("/assets/../.vite/manifest.json", 404, "no-cache"),
    ],
)
async def test_cache_headers_of_each_file(
    client: aiohttp.ClientSession, path: str, status: int, cache_control: str
) -> None:
    async with client.get(path) as answer:
        text = await answer.text()
    assert (answer.status, answer.headers["Cache-Control"]) == (status, cache_control)
    assert ("application" in text) == (status == 200 and answer.content_type == "text/html")


async def test_an_asset_that_the_browser_has_stays_immutable(client: aiohttp.ClientSession) -> None:
    async with client.get(ASSET) as answer:
        tag = answer.headers["ETag"]
    async with client.get(ASSET, headers={"If-None-Match": tag}) as again:
        assert (again.status, again.headers["Cache-Control"]) == (304, IMMUTABLE)


async def test_assets_are_sent_compressed_to_those_who_can_read_it(client: aiohttp.ClientSession) -> None:
    async with client.get(ASSET, headers={"Accept-Encoding": "gzip"}) as answer:
        assert await answer.read() == SCRIPT  # the client has decompressed it
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.content_type in {"application/javascript", "text/javascript"}
    async with client.get(ASSET, headers={"Accept-Encoding": "identity"}) as answer:
        assert await answer.read() == SCRIPT
        assert "Content-Encoding" not in answer.headers


async def test_missing_settings_are_not_answered_with_the_application(
    client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "page" / "config.json").unlink()
    async with client.get("/config.json") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("GET", "/token", "token"),
        ("GET", "/notifications?after=%20x", "token"),
        ("POST", "/notifications/read", "token"),
        ("POST", "/task", "ingest"),
        ("GET", "/task/a%2Fb", "token"),
        ("POST", "/task/abc/cancel", "token"),
        ("GET", "/task/.well-known", "token"),
        ("POST", "/notification", "ingest"),
        ("GET", "/openapi.json", "token"),
    ],
)
async def test_the_apis_paths_reach_their_service(
    client: aiohttp.ClientSession, method: str, path: str, service: str
) -> None:
    body = "{}" if method == "POST" else ""
    url = URL(str(client._base_url).rstrip("/") + path, encoded=True)
    async with aiohttp.request(method, url, data=body or None) as answer:
        assert (answer.status, await answer.text()) == (202, f"{service} {method} {path} {body}")
        assert answer.headers["Location"] == "/task/1"
        assert answer.headers.getall("Cache-Control") == ["no-store"]
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]


async def test_the_local_server_and_nginx_agree_on_the_apis_paths(client: aiohttp.ClientSession) -> None:
    for path in (
        "/token",
        "/token/",
        "/task",
        "/task/",
        "/tasks",
        "/notification",
        "/notification/",
        "/notifications/x",
    ):
        async with client.get(path) as answer:
            assert (answer.status == 202) == (service_of(path) is not None), path


async def test_a_service_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").touch()
    services = {"token": closed, "ingest": closed}
    async with (
        nginx(tmp_path, tmp_path / "page", "", services) as port,
        aiohttp.request("POST", f"http://127.0.0.1:{port}/task", data="{}") as answer,
    ):
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, answer.headers["Retry-After"]) == (502, "1")
    assert problem.keys() == {"type", "title", "status", "detail", "requestId"}


async def test_write_methods_are_rejected(client: aiohttp.ClientSession) -> None:
    for method in ("POST", "PUT", "DELETE"):
        async with client.request(method, ASSET) as answer:
            assert answer.status == 405


def test_the_readme_names_every_setting() -> None:
    readme = (TEMPLATE.parent / "README.md").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", TEMPLATE.read_text())) == set(
        re.findall(r"`(PAGE_\w+)`", "".join(re.findall(r"^\| (`PAGE_\w+`.*?) \|", readme, re.M)))
    )
