"""The token service: GET /token vends access to one's own topic, GET /notifications tells what one missed."""

import re
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from services.common.authentication import USER, require_user
from services.common.lifecycle import Lifecycle
from services.common.momento_app import MOMENTO, use_momento
from services.common.news_record import NewsRecord
from services.common.notification import Format
from services.common.problem import Problem
from services.common.user_topic import user_topic
from services.common.web import LIFECYCLE, go_on, web_app
from services.token.line import VendingLine
from services.token.settings import TokenSettings
from services.token.shared_tokens import SharedTokens
from services.token.vendor import TokenVendor

SETTINGS = web.AppKey("settings", TokenSettings)
VENDOR = web.AppKey("vendor", TokenVendor)
RECORD = web.AppKey("record", NewsRecord)

_MOMENT = re.compile(r"[0-9]{1,15}")


def create_app(settings: TokenSettings, lifecycle: Lifecycle) -> web.Application:
    """Build the service."""
    app = web_app(settings.http, lifecycle)
    app[SETTINGS] = settings
    require_user(app, settings.oidc)
    use_momento(app, settings.momento, lifecycle)
    app.cleanup_ctx.append(_vendor)
    app.router.add_get("/token", get_token, expect_handler=go_on)
    app.router.add_get("/notifications", get_notifications, expect_handler=go_on)
    return app


async def _vendor(app: web.Application) -> AsyncIterator[None]:
    settings, momento = app[SETTINGS], app[MOMENTO]
    app[VENDOR] = TokenVendor(
        momento,
        SharedTokens(momento),
        VendingLine(settings.vending_per_second / settings.vending_replicas, settings.vending_wait_seconds),
        app[LIFECYCLE].background,
        valid_seconds=settings.token_valid_seconds,
    )
    app[RECORD] = NewsRecord(momento, settings.news_retention_seconds)
    yield


async def get_token(request: web.Request) -> web.Response:
    """Answer a disposable token for the user's own topic."""
    settings = request.app[SETTINGS]
    user = request[USER]
    token = await request.app[VENDOR].token_for(user.sub)
    answer: dict[str, Any] = {
        "token": token.auth_token,
        "endpoint": token.endpoint,
        "cacheName": settings.momento.cache_name,
        "topic": user_topic(user.sub),
        "expiresAt": token.expires_at,
    }
    if settings.momento_web_endpoint:
        kinds = ("cacheEndpoint", "controlEndpoint", "tokenEndpoint")
        answer["endpointOverrides"] = dict.fromkeys(kinds, settings.momento_web_endpoint)
    return _json(answer)


async def get_notifications(request: web.Request) -> web.Response:
    """Answer the user's own final notifications after a moment, oldest first."""
    after_ms = _after_ms(request.query.getall("after", ["0"]))
    if not request.app[SETTINGS].news_retention_seconds:
        return _json({"notifications": []})
    found = await request.app[RECORD].since(request[USER].sub, after_ms, int(time.time() * 1000))
    return _json({"notifications": [orjson.Fragment(one.encode(Format.JSON)) for one in found]})


def _after_ms(values: list[str]) -> int:
    if len(values) == 1 and _MOMENT.fullmatch(values[0]):
        return int(values[0])
    raise Problem(HTTPStatus.BAD_REQUEST, "`after` must be one moment in epoch milliseconds, like 1767225600000.")


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
