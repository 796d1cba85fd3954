"""The application and two of its routes: GET /token and GET /notifications. Those of one task are in `tasks`."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from services.common.auth.authentication import USER, require_user
from services.common.lifecycle import Lifecycle
from services.common.messages.notification import Format, user_topic
from services.common.momento.app_context import MOMENTO, setup_momento
from services.common.momento.cancel_requests import CancelRequests
from services.common.momento.gateway import Momento
from services.common.momento.history import NotificationHistory
from services.common.momento.history_cursor import Cursor, NotACursorError
from services.common.momento.read_markers import ReadMarkers
from services.common.momento.results import Results
from services.common.momento.task_status import TaskStatuses
from services.common.web.app import LIFECYCLE, create_web_app
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.token import openapi_route
from services.token.history.history_limits import ReadBudget, UserLimit
from services.token.history.history_reader import HistoryReader
from services.token.history.read_marker import ReadMarkerMover
from services.token.operation_budget import OperationBudget
from services.token.probe import probe
from services.token.read_marker_route import MOVER, add_read_marker_route
from services.token.settings import TokenSettings
from services.token.tasks.cancel_view import CancelView
from services.token.tasks.task_canceller import TaskCanceller
from services.token.tasks.task_lookup import TaskLookup
from services.token.tasks.task_reader import TaskReader
from services.token.tasks.task_routes import CANCELLER, HAS_HISTORY, READER, add_task_routes
from services.token.vending.shared_tokens import SharedTokens
from services.token.vending.vending_queue import VendingQueue
from services.token.vending.vendor import TokenVendor

SETTINGS = web.AppKey("settings", TokenSettings)
VENDOR = web.AppKey("vendor", TokenVendor)
HISTORY = web.AppKey("history", HistoryReader)

DOWNLOAD_SHARE = 0.2
"""The part of the operations for tasks that large results may use."""
CANCEL_VIEW_SHARE = 0.2
"""The part that reading the stage's cancel requests may use."""


def create_app(settings: TokenSettings, lifecycle: Lifecycle) -> web.Application:
    """Create the application."""
    app = create_web_app(settings.http, lifecycle)
    app[SETTINGS] = settings
    require_user(app, settings.oidc, public_paths=[openapi_route.PATH])
    setup_momento(app, settings.momento, lifecycle)
    app.cleanup_ctx.append(_open)
    app.router.add_get("/token", get_token)
    app.router.add_get("/notifications", get_notifications)
    app[HAS_HISTORY] = settings.history_retention_seconds > 0
    add_task_routes(app)
    add_read_marker_route(app)
    openapi_route.add_openapi_route(app)
    return app


async def _open(app: web.Application) -> AsyncIterator[None]:
    settings, momento = app[SETTINGS], app[MOMENTO]
    _open_tokens(app, settings, momento)
    _open_tasks(app, settings, momento)
    async with app[LIFECYCLE].background.running("momento-probe", probe(momento)):
        yield


def _open_tokens(app: web.Application, settings: TokenSettings, momento: Momento) -> None:
    app[VENDOR] = TokenVendor(
        momento,
        SharedTokens(momento, settings.token_lookups_per_second / settings.vending_replicas),
        VendingQueue(settings.vending_per_second / settings.vending_replicas, settings.vending_wait_seconds),
        app[LIFECYCLE].background,
        valid_seconds=settings.token_valid_seconds,
    )


def _open_tasks(app: web.Application, settings: TokenSettings, momento: Momento) -> None:
    """Open what reads and changes the notification history, tasks and read markers."""
    retention_seconds, replicas = settings.history_retention_seconds, settings.vending_replicas
    history = NotificationHistory(momento, retention_seconds)
    markers = ReadMarkers(momento, retention_seconds)
    history_operations = settings.history_operations_per_second / replicas
    reader = app[HISTORY] = HistoryReader(
        history,
        markers,
        UserLimit(settings.history_reads_per_minute, history_operations),
        ReadBudget(history_operations),
        app[LIFECYCLE].background,
    )
    task_operations = settings.task_operations_per_second / replicas
    budget = OperationBudget((1 - DOWNLOAD_SHARE - CANCEL_VIEW_SHARE) * task_operations)
    download_budget = OperationBudget(DOWNLOAD_SHARE * task_operations)
    lookup = TaskLookup(history, TaskStatuses(momento, retention_seconds), reader)
    requests = CancelRequests(momento)
    cancels = CancelView(requests, CANCEL_VIEW_SHARE * task_operations)
    app[READER] = TaskReader(lookup, Results(momento, retention_seconds), cancels, budget, download_budget)
    app[CANCELLER] = TaskCanceller(lookup, requests, cancels, budget)
    app[MOVER] = ReadMarkerMover(momento, markers, budget)


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
        return _json({"notifications": [], "cursor": str(Cursor()), "readUntil": 0})
    read = await request.app[HISTORY].page(request[USER].sub, cursor)
    notifications = [orjson.Fragment(one.encode(Format.JSON)) for one in read.page.notifications]
    return _json({"notifications": notifications, "cursor": read.page.cursor, "readUntil": read.read_until_ms})


def _cursor(values: list[str]) -> Cursor:
    try:
        if len(values) == 1:
            return Cursor.parse(values[0])
    except NotACursorError:
        pass
    raise Problem(
        ProblemType.INVALID_CURSOR,
        "`after` must be one `cursor` of an earlier response. Leave it out to read all.",
    )


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
