"""Admin calls, for the supervisor and for tests: keys, settings, faults, live streams, statistics."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from grpc import StatusCode

from local.momento.calls.dispatch import Service
from local.momento.errors import CallError, StreamAborted
from local.momento.faults import Fault, parse_faults
from local.momento.settings import InvalidSettingsError
from local.momento.store.items import Dictionary, Value

PREFIX = "/_emulator/"
HEADER = "x-emulator-admin"
MAX_SHOWN_BYTES = 8_192
"""Of a value. Larger ones are shown without their content."""


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Reject admin calls from every web page, also from those of allowed origins.

    `local.web_access` has checked the Host header before. A page cannot send the admin header without a preflight,
    which is rejected.
    """
    if not request.path.startswith(PREFIX) or request.path == f"{PREFIX}health":
        return await handler(request)
    if request.method == "OPTIONS" or request.headers.get(HEADER) != "1":
        return _problems(403, [f"the header {HEADER}: 1 is required"])
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        return _problems(403, ["web pages cannot make admin calls"])
    return await handler(request)


class Admin:
    """The handlers of the admin calls."""

    def __init__(self, service: Service, on_settings_changed: Callable[[], object]) -> None:
        self._service = service
        self._on_settings_changed = on_settings_changed

    def add_routes(self, app: web.Application) -> None:
        router = app.router
        router.add_get(f"{PREFIX}health", self._health)
        router.add_post(f"{PREFIX}keys", self._create_key)
        router.add_delete(PREFIX + "keys/{key_id}", self._revoke_key)
        router.add_get(f"{PREFIX}settings", self._show_settings)
        router.add_patch(f"{PREFIX}settings", self._change_settings)
        router.add_post(f"{PREFIX}streams/{{action:abort|end}}", self._end_streams)
        router.add_get(f"{PREFIX}stats", self._show_stats)
        router.add_get(PREFIX + "caches/{name}", self._show_cache)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _create_key(self, _request: web.Request) -> web.Response:
        key = self._service.credentials.create_key()
        return web.json_response({"keyId": key.key_id, "v1": key.v1, "v2": key.v2}, status=201)

    async def _revoke_key(self, request: web.Request) -> web.Response:
        if not self._service.credentials.revoke(request.match_info["key_id"]):
            return _problems(404, ["no such key"])
        return web.Response(status=204)

    async def _show_settings(self, _request: web.Request) -> web.Response:
        return web.json_response(self._settings())

    async def _change_settings(self, request: web.Request) -> web.Response:
        """Apply all settings of the body, or none."""
        try:
            values = json.loads(await request.read())
        except (ValueError, RecursionError):
            return _problems(400, ["the body is not JSON"])
        if not isinstance(values, dict):
            return _problems(400, ["the body must be an object"])
        try:
            self._apply(values)
        except InvalidSettingsError as error:
            return _problems(400, error.problems)
        return web.json_response(self._settings())

    async def _end_streams(self, request: web.Request) -> web.Response:
        """`abort` ends live streams as a lost connection does, `end` ends them cleanly."""
        abort = request.match_info["action"] == "abort"
        return web.json_response({"ended": self._service.caches.end_streams(_connection_lost() if abort else None)})

    async def _show_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(self._service.stats.as_json(self._service.caches))

    async def _show_cache(self, request: web.Request) -> web.Response:
        """Show the items of a cache, which Momento itself does not list."""
        try:
            cache = self._service.caches.get(request.match_info["name"])
        except CallError as error:
            return _problems(404, [str(error)])
        return web.json_response({"items": [_item(key, found) for key, found in cache.items.live()]})

    def _settings(self) -> dict[str, Any]:
        return self._service.settings.as_json() | {"faults": self._service.faults.as_json()}

    def _apply(self, values: dict[str, Any]) -> None:
        faults: list[Fault] | None = None
        if "faults" in values:
            faults = parse_faults(values.pop("faults"), self._service.method_names)
        self._service.settings.change(values)
        if faults is not None:
            self._service.faults.replace(faults)
        if self._service.settings.down:
            self._service.caches.end_streams(_connection_lost())
        self._on_settings_changed()


def _item(key: bytes, found: Value | Dictionary) -> dict[str, Any]:
    if isinstance(found, Dictionary):
        return {"key": _text(key), "fields": [_text(name) for name in found.fields]}
    return {"key": _text(key), "value": _text(found.body) if len(found.body) <= MAX_SHOWN_BYTES else None}


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _connection_lost() -> StreamAborted:
    return StreamAborted(StatusCode.UNAVAILABLE, "Socket closed")


def _problems(status: int, problems: list[str]) -> web.Response:
    return web.json_response({"errors": problems}, status=status)
