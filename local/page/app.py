"""The routes of the page server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict

import aiohttp
from aiohttp import web

from local.page.bundle import bundled
from local.page.html import STYLE, mail_page, start_page
from local.page.mail import Mailbox, MailsUnavailableError, printable
from local.page.security import security_headers
from local.page.settings import Settings
from local.web_middleware import cors, middleware

SETTINGS = web.AppKey("settings", Settings)
MAILBOX = web.AppKey("mailbox", Mailbox)
WATCH = web.AppKey("watch", asyncio.Task[None])

CONFIG_PATH = "/config.json"
"""Read by the developer's own pages too, which cannot know the ids of a user pool that each run makes."""
WATCH_SECONDS = 1.0
NOT_KEPT = {"Cache-Control": "no-store"}


def create_app(settings: Settings) -> web.Application:
    app = web.Application(middlewares=[middleware(settings.access, is_navigable=lambda path: path != CONFIG_PATH)])
    app[SETTINGS] = settings
    app.on_response_prepare.append(security_headers(settings.talks_to()))
    app.on_response_prepare.append(cors(settings.access, applies=lambda path: path == CONFIG_PATH))
    app.cleanup_ctx.append(mailbox)
    app.router.add_get("/healthz", get_health)
    app.router.add_get(CONFIG_PATH, get_config)
    app.router.add_get("/mail", get_mail)
    app.router.add_get("/mail.json", get_mail_json)
    app.router.add_get("/local.css", get_style)
    app.router.add_get("/{path:.*}", get_bundle)
    return app


async def mailbox(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        app[MAILBOX] = Mailbox(session, app[SETTINGS].mails_url, app[SETTINGS].mails_key)
        app[WATCH] = asyncio.create_task(watch(app[MAILBOX]), name="watch for mails")
        yield
        app[WATCH].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await app[WATCH]


async def watch(box: Mailbox) -> None:
    """Say each new code in the output, and once that mails cannot be read for now."""
    reachable = True
    while True:
        try:
            await announce(box)
            reachable = True
        except MailsUnavailableError as error:
            if reachable:
                say(f"mails cannot be read for now: {error}")
            reachable = False
        await asyncio.sleep(WATCH_SECONDS)


async def announce(box: Mailbox) -> None:
    """Refresh and say what is new; requests come here too, so that what they find first is said as well."""
    for mail in await box.refresh():
        say(f"mail to {printable(mail.to)}: code {mail.code or 'none'}")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the supervisor shows it


async def get_health(request: web.Request) -> web.Response:
    """The page is ready as soon as it listens, and healthy while it watches for mails."""
    watching = not request.app[WATCH].done()
    return web.Response(text="ok\n" if watching else "mails are not watched\n", status=200 if watching else 503)


async def get_config(request: web.Request) -> web.Response:
    return web.json_response(request.app[SETTINGS].client_config(), headers=NOT_KEPT)


async def get_mail(request: web.Request) -> web.Response:
    box = await fresh(request)
    return web.Response(text=mail_page(box.mails), content_type="text/html", headers=NOT_KEPT)


async def get_mail_json(request: web.Request) -> web.Response:
    box = await fresh(request)
    mails = [asdict(mail) | {"code": mail.code} for mail in box.mails]
    return web.json_response({"mails": mails}, headers=NOT_KEPT)


async def fresh(request: web.Request) -> Mailbox:
    """The mailbox with what has just come."""
    box = request.app[MAILBOX]
    try:
        await announce(box)
    except MailsUnavailableError as error:
        raise web.HTTPServiceUnavailable(text=f"The emulated AWS does not list its mails: {error}\n") from error
    return box


async def get_style(_: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css")


async def get_bundle(request: web.Request) -> web.StreamResponse:
    settings = request.app[SETTINGS]
    if response := bundled(settings.bundle, request.path):
        return response
    if request.path == "/":
        text = start_page(settings.token_url, settings.task_url)
        return web.Response(text=text, content_type="text/html", headers=NOT_KEPT)
    raise web.HTTPNotFound
