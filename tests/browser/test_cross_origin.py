"""Pages of other origins in a real Chromium: the developer's own page works, a foreign page can do nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web
from playwright.async_api import Browser, Page, Request

from notification_api.client import Credentials
from tests.support.browser.page import new_page
from tests.support.browser.stack import BrowserStack
from tests.support.requirements import PAGE

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

FOREIGN_HOSTS = ("localhost", "foreign.test")
"""Another project's page on this machine, and a web site."""
HARMLESS = {400, 401, 403, 404, 405, 415, 421}
ATTACK = """
async (targets) => {
  const read = [];
  const attempt = async (how, url, options) => {
    try {
      const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(5000) });
      if (answer.type !== "opaque") read.push(`${how} ${url}: ${answer.status} ${(await answer.text()).slice(0, 80)}`);
    } catch { /* refused, as expected */ }
  };
  for (const { url, headers, body } of targets) {
    await attempt("simple GET", url, {});
    await attempt("simple POST", url, { method: "POST", body });
    await attempt("preflighted POST", url, { method: "POST", headers, body });
    await attempt("preflighted DELETE", url, { method: "DELETE" });
    await attempt("no-cors GET", url, { mode: "no-cors" });
    await attempt("no-cors POST", url, { method: "POST", mode: "no-cors", body });
    await attempt("with cookies", url, { credentials: "include" });
    navigator.sendBeacon(url, body);
    for (const [name, address] of [["img", "src"], ["script", "src"], ["iframe", "src"], ["link", "href"]]) {
      const element = document.createElement(name);
      if (name === "link") element.rel = "stylesheet";
      element[address] = url;
      const loaded = new Promise((done) => { element.onload = element.onerror = done; setTimeout(done, 3000); });
      element.onload = () => { if (name === "img" || name === "script") read.push(`${name} ${url} loaded`); };
      document.body.append(element);
      await Promise.race([loaded, new Promise((done) => setTimeout(done, 200))]);
    }
    const frame = Object.assign(document.createElement("iframe"), { name: `form-${read.length}-${Math.random()}` });
    const form = Object.assign(document.createElement("form"), { action: url, method: "POST", target: frame.name });
    form.enctype = "text/plain";
    document.body.append(frame, form);
    form.submit();
    await new Promise((done) => {
      const socket = new WebSocket(url.replace("http", "ws"));
      socket.onopen = () => { read.push(`WebSocket ${url} opened`); done(); };
      socket.onerror = done;
    });
  }
  return read;
}
"""


@asynccontextmanager
async def serving(port: int, app: web.Application) -> AsyncIterator[int]:
    """An application at a port of this machine (0: a free one)."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def developers_page(config_url: str) -> web.Application:
    """The browser application as another server would serve it."""

    async def config(_: web.Request) -> web.Response:
        async with ClientSession() as session, session.get(config_url) as answer:
            return web.json_response(await answer.json())

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE)

    app = web.Application()
    app.router.add_get("/config.json", config)
    app.router.add_get("/", index)
    app.router.add_static("/", PAGE.parent)
    return app


async def test_a_page_that_local_origins_names_works_from_signing_in_to_the_notification(
    stack: BrowserStack, chromium_alone: Browser, user: Credentials
) -> None:
    app = developers_page(f"{stack.local.page_url}/config.json")
    async with serving(stack.local.developers_port, app) as port, await chromium_alone.new_context() as context:
        page = await new_page(context, f"http://localhost:{port}")
        await page.sign_in(user)
        await page.send("from the developer's own page")
        await page.expect_task("from the developer's own page")
        fetched = await page.page.evaluate(f"fetch('{stack.local.page_url}/config.json').then(answer => answer.status)")
        assert fetched == 200


def targets(stack: BrowserStack) -> list[dict[str, object]]:
    """What a foreign page might attack, with the headers that each call needs."""
    ports, outputs = stack.local.ports, stack.local.outputs
    task = "Action=SendMessage&MessageBody=foreign"
    queue = f"http://localhost:{ports.aws}/000000000000/{outputs.queue_url.rpartition('/')[2]}"
    cognito = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}
    sign_up = {"ClientId": outputs.user_pool_client_id, "Username": "x@foreign.test", "Password": "Abcdef1!x"}
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sqs/aws4_request, Signature=x"}
    admin = {"x-emulator-admin": "1"}
    found: list[tuple[str, dict[str, str], str]] = [
        (f"http://localhost:{ports.aws}/_ministack/reset", {"x": "1"}, ""),
        (f"http://127.0.0.1:{ports.aws}/_ministack/ses/messages", {"x": "1"}, ""),
        (f"{queue}?{task}", signed, task),
        (f"http://localhost:{ports.aws}/", cognito, json.dumps(sign_up)),
        (f"http://localhost:{ports.momento_web}/_emulator/keys", admin, ""),
        (f"http://localhost:{ports.momento_web}/_emulator/settings", admin, '{"down":true}'),
        (f"http://localhost:{ports.momento_web}/cache_client.pubsub.Pubsub/Publish", {"x-grpc-web": "1"}, "AAAA"),
        (f"http://localhost:{ports.page}/mail.json", {"x": "1"}, ""),
        (f"http://localhost:{ports.page}/config.json", {"x": "1"}, ""),
        (f"http://localhost:{ports.token}/token", {"authorization": "Bearer x"}, ""),
        (f"http://localhost:{ports.ingest}/task", {"authorization": "Bearer x"}, '{"data":"foreign"}'),
        (f"http://localhost:{ports.processor_ops}/metrics", {"x": "1"}, ""),
    ]
    return [{"url": url, "headers": headers, "body": body} for url, headers, body in found]


@pytest.mark.parametrize("name", FOREIGN_HOSTS)
async def test_a_foreign_page_reads_and_changes_nothing(
    stack: BrowserStack, chromium_alone: Browser, user: Credentials, name: str
) -> None:
    before = await state(stack)
    answers: list[tuple[Request, int]] = []
    async with serving(0, empty_page()) as port, await chromium_alone.new_context() as context:
        page = await context.new_page()
        page.on("response", lambda answer: answers.append((answer.request, answer.status)))
        await page.goto(f"http://{name}:{port}/")
        assert await page.evaluate(ATTACK, targets(stack)) == []
        await asyncio.sleep(0)
    ours = {(request.url, status) for request, status in answers if f":{port}/" not in request.url}
    metrics = (
        f"http://localhost:{stack.local.ports.processor_ops}/metrics"  # answering_posts, but the page cannot read it
    )
    assert {(url, status) for url, status in ours if status not in HARMLESS and url != metrics} == set()
    assert await state(stack) == before
    assert await stack.signed_in(user)


@pytest.mark.parametrize("what", ["aws", "page", "momento_web", "processor_ops", "token"])
async def test_a_foreign_name_that_resolves_to_this_machine_reaches_no_port(
    stack: BrowserStack, chromium_alone: Browser, what: str
) -> None:
    """DNS rebinding: the foreign name resolves to this machine, so that its page has the origin of what it requests."""
    port = getattr(stack.local.ports, what)
    async with await chromium_alone.new_context() as context:
        page: Page = await context.new_page()
        opened = await page.goto(f"http://foreign.test:{port}/")
        assert opened is not None
        assert opened.status == 421
        for path in ("/_ministack/ses/messages", "/mail.json", "/_emulator/settings", "/metrics", "/config.json"):
            for method in ("GET", "POST"):
                options = {"method": method, "headers": {"x-emulator-admin": "1"}}
                script = "([path, options]) => fetch(path, options).then(answer => answer.status)"
                assert await page.evaluate(script, [path, options]) == 421


def empty_page() -> web.Application:
    async def index(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>foreign</title><body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", index)
    return app


async def state(stack: BrowserStack) -> object:
    """What a foreign page might have changed: settings of Momento, the pool's users."""
    return await stack.momento_settings(), await stack.user_names()
