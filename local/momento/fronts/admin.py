"""Admin calls, for the supervisor and for tests: keys, settings, faults, live streams, statistics."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from grpc import StatusCode

from local.momento.calls.dispatch import Service
from local.momento.errors import StreamAborted
from local.momento.fault_input import parse_faults
from local.momento.faults import Fault
from local.momento.settings import InvalidSettingsError
from local.momento.upkeep import Upkeep

PREFIX = "/_emulator/"
HEADER = "x-emulator-admin"


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Keep every web page away from the admin calls, those of allowed origins too.

    `local.web_access` has checked the Host header before. A page cannot send the header without a preflight, which is
    refused.
    """
    if not request.path.startswith(PREFIX) or request.path == f"{PREFIX}health":
        return await handler(request)
    if request.method == "OPTIONS" or request.headers.get(HEADER) != "1":
        return _problems(403, [f"the header {HEADER}: 1 is needed"])
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        return _problems(403, ["web pages have no admin calls"])
    return await handler(request)


class Admin:
    def __init__(self, service: Service, upkeep: Upkeep) -> None:
        self._service = service
        self._upkeep = upkeep

    def add_routes(self, app: web.Application) -> None:
        router = app.router
        router.add_get(f"{PREFIX}health", self._health)
        router.add_post(f"{PREFIX}keys", self._make_key)
        router.add_delete(PREFIX + "keys/{key_id}", self._revoke_key)
        router.add_get(f"{PREFIX}settings", self._show_settings)
        router.add_patch(f"{PREFIX}settings", self._change_settings)
        router.add_post(f"{PREFIX}streams/{{action:abort|end}}", self._end_streams)
        router.add_get(f"{PREFIX}stats", self._show_stats)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _make_key(self, _request: web.Request) -> web.Response:
        key = self._service.credentials.make_key()
        return web.json_response({"keyId": key.key_id, "v1": key.v1, "v2": key.v2}, status=201)

    async def _revoke_key(self, request: web.Request) -> web.Response:
        if not self._service.credentials.revoke(request.match_info["key_id"]):
            return _problems(404, ["no such key"])
        return web.Response(status=204)

    async def _show_settings(self, _request: web.Request) -> web.Response:
        return web.json_response(self._settings())

    async def _change_settings(self, request: web.Request) -> web.Response:
        """Takes over all that the body names, or nothing of it."""
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
        """`abort` breaks live streams off as a lost connection does, `end` ends them cleanly."""
        abort = request.match_info["action"] == "abort"
        return web.json_response({"ended": self._service.caches.end_streams(_broken_off() if abort else None)})

    async def _show_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(self._service.stats.as_json(self._service.caches))

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
            self._service.caches.end_streams(_broken_off())
        self._upkeep.settings_changed.set()


def _broken_off() -> StreamAborted:
    return StreamAborted(StatusCode.UNAVAILABLE, "Socket closed")


def _problems(status: int, problems: list[str]) -> web.Response:
    return web.json_response({"errors": problems}, status=status)
