"""The routes: GET /token vends a token for the user's own topic, GET /notifications returns the user's history."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from services.common.auth.authentication import USER, require_user
from services.common.lifecycle import Lifecycle
from services.common.messages.notification import Format, user_topic
from services.common.momento.app_context import MOMENTO, setup_momento
from services.common.momento.history import NotificationHistory
from services.common.momento.history_cursor import Cursor, NotACursorError
from services.common.web.app import LIFECYCLE, create_web_app
from services.common.web.problem import Problem
from services.token.history_limits import ReadBudget, UserLimit
from services.token.history_reader import HistoryReader
from services.token.probe import probe
from services.token.settings import TokenSettings
from services.token.shared_tokens import SharedTokens
from services.token.vending_queue import VendingQueue
from services.token.vendor import TokenVendor

SETTINGS = web.AppKey("settings", TokenSettings)
VENDOR = web.AppKey("vendor", TokenVendor)
HISTORY = web.AppKey("history", HistoryReader)


def create_app(settings: TokenSettings, lifecycle: Lifecycle) -> web.Application:
    """Create the application."""
    app = create_web_app(settings.http, lifecycle)
    app[SETTINGS] = settings
    require_user(app, settings.oidc)
    setup_momento(app, settings.momento, lifecycle)
    app.cleanup_ctx.append(_open)
    app.router.add_get("/token", get_token)
    app.router.add_get("/notifications", get_notifications)
    return app


async def _open(app: web.Application) -> AsyncIterator[None]:
    settings, momento = app[SETTINGS], app[MOMENTO]
    app[VENDOR] = TokenVendor(
        momento,
        SharedTokens(momento, settings.token_lookups_per_second / settings.vending_replicas),
        VendingQueue(settings.vending_per_second / settings.vending_replicas, settings.vending_wait_seconds),
        app[LIFECYCLE].background,
        valid_seconds=settings.token_valid_seconds,
    )
    history_operations = settings.history_operations_per_second / settings.vending_replicas
    app[HISTORY] = HistoryReader(
        NotificationHistory(momento, settings.history_retention_seconds),
        UserLimit(settings.history_reads_per_minute, history_operations),
        ReadBudget(history_operations),
        app[LIFECYCLE].background,
    )
    async with app[LIFECYCLE].background.running("momento-probe", probe(momento)):
        yield


async def get_token(request: web.Request) -> web.Response:
    """Return a disposable token for the user's own topic."""
    settings = request.app[SETTINGS]
    user = request[USER]
    token = await request.app[VENDOR].token_for(user.sub)
    body: dict[str, Any] = {
        "token": token.auth_token,
        "endpoint": token.endpoint,
        "cacheName": settings.momento.cache_name,
        "topic": user_topic(user.sub),
        "expiresAt": token.expires_at,
    }
    if settings.momento_web_endpoint:
        kinds = ("cacheEndpoint", "controlEndpoint", "tokenEndpoint")
        body["endpointOverrides"] = dict.fromkeys(kinds, settings.momento_web_endpoint)
    return _json(body)


async def get_notifications(request: web.Request) -> web.Response:
    """Return the user's own final notifications that the cursor does not contain, oldest first."""
    cursor = _cursor(request.query.getall("after", [""]))
    if not request.app[SETTINGS].history_retention_seconds:
        return _json({"notifications": [], "cursor": str(Cursor())})
    page = await request.app[HISTORY].page(request[USER].sub, cursor)
    notifications = [orjson.Fragment(one.encode(Format.JSON)) for one in page.notifications]
    return _json({"notifications": notifications, "cursor": page.cursor})


def _cursor(values: list[str]) -> Cursor:
    try:
        if len(values) == 1:
            return Cursor.parse(values[0])
    except NotACursorError:
        pass
    raise Problem(
        HTTPStatus.BAD_REQUEST,
        "`after` must be one `cursor` of an earlier response. Leave it out to read all.",
    )


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
