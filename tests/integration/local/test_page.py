"""The application's server over HTTP: routes, headers, allowed clients, and the bundle."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from local.page.__main__ import listen_on_loopback
from local.page.app import POLLING, create_app
from local.page.settings import Settings, split_task_types
from local.web_access.access import WebAccess

SCRIPT_TYPES = {"text/javascript", "application/javascript"}
"""Python's own table changed from one to the other; browsers accept both."""
Client = TestClient[web.Request, web.Application]


class Mails:
    """A fake of the emulated AWS' list of sent mails."""

    def __init__(self) -> None:
        self.answer: Any = {"messages": {}}
        self.status = 200

    async def get(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer the-secret-of-this-run":
            raise web.HTTPForbidden
        return web.json_response(self.answer, status=self.status)

    def add(self, to: str, code: str) -> None:
        records = self.answer["messages"].setdefault("000000000000", [])
        records.append(
            {
                "MessageId": f"id-{len(records)}",
                "To": [to],
                "Subject": "Your verification code",
                "BodyText": f"Your verification code is {code}.",
                "BodyHtml": "",
                "Timestamp": 1_700_000_000.0 + len(records),
            }
        )


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
async def settings(mails: Mails, tmp_path: Path) -> AsyncIterator[Settings]:
    app = web.Application()
    app.router.add_get("/mails", mails.get)
    async with TestServer(app) as server:
        yield Settings(
            port=8080,
            bundle=tmp_path / "dist",
            mails_url=str(server.make_url("/mails")),
            mails_key="the-secret-of-this-run",
            access=WebAccess(frozenset({"http://localhost:5173"})),
            services={"token": "http://127.0.0.1:8081", "ingest": "http://127.0.0.1:8082"},
            dev_view=None,
            momento_url="http://localhost:8085",
            cognito_url="http://localhost:4566",
            region="us-east-1",
            user_pool_id="us-east-1_pool",
            user_pool_client_id="client",
        )


@pytest.fixture
async def page(settings: Settings) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(settings))) as client:
        yield client


@pytest.fixture
def bundle(settings: Settings) -> Path:
    assets = settings.bundle / "assets"
    assets.mkdir(parents=True)
    (settings.bundle / "index.html").write_text("<!doctype html><title>app</title>")
    (assets / "index-DkX3a_9-.js").write_text("export {}\n" * 100)
    (assets / "index-DkX3a_9-.js.gz").write_bytes(gzip.compress(b"export {}\n" * 100))
    (settings.bundle / "favicon.svg").write_text("<svg/>")
    (settings.bundle.parent / "secret.txt").write_text("secret")
    return settings.bundle


async def test_the_configuration_has_only_what_a_client_needs(page: Client) -> None:
    async with page.get("/config.json") as answer:
        assert await answer.json() == {
            "apiUrl": "http://localhost:8080",
            "region": "us-east-1",
            "userPoolId": "us-east-1_pool",
            "userPoolClientId": "client",
            "cognitoEndpoint": "http://localhost:4566",
        }
        assert answer.headers["Cache-Control"] == "no-store"


async def test_the_configuration_lists_the_task_types_where_ingest_has_a_list(settings: Settings) -> None:
    app = create_app(replace(settings, task_types=split_task_types("default, report,,default")))
    async with TestClient(TestServer(app)) as client, client.get("/config.json") as answer:
        assert (await answer.json())["taskTypes"] == ["default", "report"]


@pytest.mark.parametrize("path", ["/", "/config.json", "/mail", "/mail.json", "/local.css", "/missing", "/healthz"])
async def test_every_answer_has_the_security_headers(page: Client, path: str) -> None:
    async with page.get(path) as answer:
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["connect-src"].split() == [
            "'self'",
            "http://localhost:8080",
            "http://localhost:4566",
            "http://localhost:8085",
        ]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_this_machines_own_names_are_answered(page: Client, host: str) -> None:
    async with page.get("/mail.json", headers={"Host": f"{host}:{page.port}"}) as answer:
        assert answer.status == 200
    async with page.get("/mail.json", headers={"Host": f"{host}:1{page.port}"}) as answer:
        assert answer.status == 421


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "", ":8080"])
async def test_a_foreign_host_name_of_this_machine_reads_no_mail(page: Client, host: str) -> None:
    async with page.get("/mail.json", headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "mails" not in await answer.text()


@pytest.mark.parametrize("path", ["/mail", "/mail.json", "/config.json", "/", "/healthz"])
async def test_a_page_of_another_origin_reads_nothing(page: Client, path: str) -> None:
    for headers in (
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ):
        async with page.get(path, headers=headers) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "mails" not in await answer.text()


async def test_a_link_on_another_page_leads_to_the_mails_and_not_to_the_configuration(page: Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with page.get("/mail", headers=link) as answer:
        assert answer.status == 200
    async with page.get("/config.json", headers=link) as answer:
        assert answer.status == 403


async def test_the_developers_own_page_reads_the_configuration_and_no_mails(page: Client) -> None:
    own = {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"}
    async with page.get("/config.json", headers=own) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert answer.headers["Vary"] == "Origin"
    async with page.get("/mail.json", headers=own) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_mailed_code_is_immediately_on_both_pages_and_in_the_output(
    page: Client, mails: Mails, capsys: pytest.CaptureFixture[str]
) -> None:
    mails.add("first@example.com", "111111")
    mails.add("second@example.com", "222222")
    async with page.get("/mail.json") as answer:
        listed = (await answer.json())["mails"]
    assert [(mail["to"], mail["code"]) for mail in listed] == [
        ("second@example.com", "222222"),
        ("first@example.com", "111111"),
    ]
    async with page.get("/mail") as answer:
        shown = await answer.text()
    assert shown.index("222222") < shown.index("111111")
    assert capsys.readouterr().out.splitlines() == [
        "mail to first@example.com: code 111111",
        "mail to second@example.com: code 222222",
    ]


async def test_unreadable_mails_are_reported_and_it_recovers(
    page: Client, mails: Mails, capsys: pytest.CaptureFixture[str]
) -> None:
    mails.status = 500
    async with page.get("/mail.json") as answer:
        assert answer.status == 503
    mails.status = 200
    mails.answer = {"nonsense": 1}
    async with page.get("/mail") as answer:
        assert answer.status == 503
        assert "does not list its mails" in await answer.text()
    mails.answer = {"messages": {}}
    async with page.get("/mail") as answer:
        assert answer.status == 200
    async with page.get("/healthz") as answer:
        assert answer.status == 200


async def test_without_a_bundle_the_first_page_says_how_to_try_it(page: Client) -> None:
    async with page.get("/") as answer:
        assert answer.content_type == "text/html"
        text = await answer.text()
        assert "make demo" in text
        assert "make frontend" in text


async def test_the_bundle_replaces_the_start_page_once_it_is_built(page: Client, bundle: Path) -> None:
    async with page.get("/") as answer:
        assert "<title>app</title>" in await answer.text()
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.content_type == "text/html"


async def test_files_with_a_hash_are_immutable_and_others_are_revalidated(page: Client, bundle: Path) -> None:
    async with page.get("/assets/index-DkX3a_9-.js") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type in SCRIPT_TYPES
    async with page.get("/favicon.svg") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        etag = answer.headers["ETag"]
    async with page.get("/favicon.svg", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


async def test_the_builds_compressed_file_is_sent_to_clients_that_accept_it(settings: Settings, bundle: Path) -> None:
    async with TestServer(create_app(settings)) as server, ClientSession(auto_decompress=False) as client:
        url = server.make_url("/assets/index-DkX3a_9-.js")
        async with client.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.content_type in SCRIPT_TYPES
            assert gzip.decompress(await answer.read()).startswith(b"export")
        async with client.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/%2fetc%2fpasswd", "/a%00b", "/assets"],
)
async def test_nothing_outside_the_bundle_is_served(settings: Settings, bundle: Path, path: str) -> None:
    async with TestServer(create_app(settings)) as server:
        with closing(socket.create_connection((server.host, server.port))) as raw:
            raw.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=raw)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"secret" not in answer.replace(b"secret.txt", b"")


async def test_a_symbolic_link_out_of_the_bundle_is_not_followed(page: Client, bundle: Path) -> None:
    (bundle / "link.txt").symlink_to(bundle.parent / "secret.txt")
    async with page.get("/link.txt") as answer:
        assert answer.status == 404


async def test_it_is_unhealthy_when_mails_are_not_polled(settings: Settings) -> None:
    app = create_app(settings)
    async with TestClient(TestServer(app)) as page:
        app[POLLING].cancel()
        await asyncio.wait([app[POLLING]])
        async with page.get("/healthz") as answer:
            assert answer.status == 503


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


async def test_it_listens_only_on_this_machine(settings: Settings, port: int) -> None:
    runner = web.AppRunner(create_app(settings))
    await runner.setup()
    try:
        await listen_on_loopback(runner, port)
        assert {address[0] for address in runner.addresses} <= {"127.0.0.1", "::1"}
        assert ("127.0.0.1", port) in runner.addresses
    finally:
        await runner.cleanup()
