"""The routes of the application's server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from local.dev_view.routes import add_dev_view, is_dev_path
from local.html import STYLE
from local.page.api import forward_api, service_of
from local.page.bundle import bundle_response
from local.page.html import mail_page, start_page
from local.page.mail import Mailbox, MailsUnavailableError, printable
from local.page.security import security_headers
from local.page.settings import Settings
from local.web_access.middleware import cors, middleware

SETTINGS = web.AppKey("settings", Settings)
MAILBOX = web.AppKey("mailbox", Mailbox)
POLLING = web.AppKey("watch", asyncio.Task[None])
OnResponse = Callable[[web.Request, web.StreamResponse], Awaitable[None]]

CONFIG_PATH = "/config.json"
"""The developer's own web pages read it too, since each run creates a new user pool."""
POLL_SECONDS = 1.0
NO_STORE = {"Cache-Control": "no-store"}


def create_app(settings: Settings) -> web.Application:
    app = web.Application(middlewares=[middleware(settings.access, is_navigable=is_page), report_unavailable_mails])
    app[SETTINGS] = settings
    app.on_response_prepare.append(for_own(security_headers(settings.connects_to(), has_forms=is_dev_path)))
    app.on_response_prepare.append(for_own(cors(settings.access, applies=lambda path: path == CONFIG_PATH)))
    app.cleanup_ctx.append(mailbox)
    if settings.services:
        forward_api(app, settings.services, settings.access.origins)
    if settings.dev_view:
        add_dev_view(app, settings.dev_view)
    app.router.add_get("/healthz", get_health)
    app.router.add_get(CONFIG_PATH, get_config)
    app.router.add_get("/mail", get_mail)
    app.router.add_get("/mail.json", get_mail_json)
    app.router.add_get("/local.css", get_style)
    app.router.add_get("/{path:.*}", get_bundle)
    return app


def is_own(path: str) -> bool:
    """Return whether this server answers itself, rather than a service."""
    return service_of(path) is None


def is_page(path: str) -> bool:
    """Return whether people open this path in a browser, so that a link on any web page may lead to it."""
    return is_own(path) and path != CONFIG_PATH


def for_own(add_headers: OnResponse) -> OnResponse:
    """Limit `add_headers` to the responses of this server itself. Those of the services stay unchanged."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if is_own(request.path):
            await add_headers(request, response)

    return add


async def mailbox(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        app[MAILBOX] = Mailbox(session, app[SETTINGS].mails_url, app[SETTINGS].mails_key)
        app[POLLING] = asyncio.create_task(poll_mails(app[MAILBOX]), name="mails")
        yield
        app[POLLING].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await app[POLLING]


async def poll_mails(box: Mailbox) -> None:
    """Print each new code, and once when mails cannot be read."""
    reachable = True
    while True:
        try:
            await announce(box)
            reachable = True
        except MailsUnavailableError as error:
            if reachable:
                info(f"mails cannot be read: {error}")
            reachable = False
        await asyncio.sleep(POLL_SECONDS)


async def announce(box: Mailbox) -> None:
    """Read the mails and print the new ones. Requests use this too, so that every mail is printed."""
    for mail in await box.refresh():
        info(f"mail to {printable(mail.to)}: code {mail.code or 'none'}")


def info(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the supervisor shows it


async def get_health(request: web.Request) -> web.Response:
    """Answer 200 while the mails are polled."""
    polling = not request.app[POLLING].done()
    return web.Response(text="ok\n" if polling else "mails are not polled\n", status=200 if polling else 503)


async def get_config(request: web.Request) -> web.Response:
    return web.json_response(request.app[SETTINGS].client_config(), headers=NO_STORE)


async def get_mail(request: web.Request) -> web.Response:
    box = request.app[MAILBOX]
    await announce(box)
    return web.Response(text=mail_page(box.mails), content_type="text/html", headers=NO_STORE)


async def get_mail_json(request: web.Request) -> web.Response:
    box = request.app[MAILBOX]
    await announce(box)
    mails = [asdict(mail) | {"code": mail.code} for mail in box.mails]
    return web.json_response({"mails": mails}, headers=NO_STORE)


@web.middleware
async def report_unavailable_mails(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MailsUnavailableError as error:
        return web.Response(status=503, text=f"The emulated AWS does not list its mails: {error}\n")


async def get_style(_: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css")


async def get_bundle(request: web.Request) -> web.StreamResponse:
    settings = request.app[SETTINGS]
    if response := bundle_response(settings.bundle, request.path):
        return response
    if request.path == "/":
        text = start_page(settings.api_url, has_dev_view=settings.dev_view is not None)
        return web.Response(text=text, content_type="text/html", headers=NO_STORE)
    raise web.HTTPNotFound
