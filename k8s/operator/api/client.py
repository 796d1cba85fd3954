"""A small client of the Kubernetes API: every call with a deadline, what may pass retried, errors as types.

The official client is most of an operator's memory, and of it all we need four verbs.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import kopf
import orjson

from k8s.operator.metrics import KUBERNETES_CALLS
from services.common.errors import PermanentError, Transient

logger = logging.getLogger(__name__)

Json = dict[str, Any]

CALL_SECONDS = 10.0
ATTEMPTS = 4
BACKOFF_SECONDS = 0.3
MAX_CONNECTIONS = 20
MERGE_PATCH = "application/merge-patch+json"
_PASSING = {429, 500, 502, 503, 504}
_UNAUTHORIZED = 401


class Unreachable(Transient):
    """The API server did not answer, or said that it cannot now."""


class Refused(PermanentError):
    """The API server refused; the message is its own. `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Gone(Refused):
    """There is no such object."""


class Conflict(Refused):
    """There is one already, or it is not what it was when it was read."""


def log_in() -> kopf.ConnectionInfo:
    """Find the API server as kopf does: a pod's service account, else KUBECONFIG.

    :raises PermanentError: when there is neither.
    """
    settings = kopf.OperatorSettings()
    for login in (kopf.login_with_service_account, kopf.login_with_kubeconfig):
        found = login(settings=settings)
        if found is not None:
            return found
    raise PermanentError("No Kubernetes API: neither a pod's service account nor KUBECONFIG is there.")


class Kubernetes:
    """Use as a context manager. Paths begin with /api or /apis."""

    def __init__(self, login: Callable[[], kopf.ConnectionInfo] = log_in) -> None:
        self._login = login
        self._session: aiohttp.ClientSession | None = None
        self._server = ""
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **query: str) -> Json | None:
        """The object, or None where there is none."""
        try:
            return await self._call("GET", path, query=query)
        except Gone:
            return None

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        """The objects of a list, from the API server's cache, which is cheap for it: most often moments old.

        :param fresh: as they are now. Of several API servers one may be arbitrarily far behind, so whatever cannot be
            undone is decided by such a list alone.
        """
        version = {} if fresh else {"resourceVersion": "0"}
        listed = await self._call("GET", path, query={**version, **query})
        return list(listed.get("items") or [])

    async def create(self, path: str, body: Json) -> Json:
        """Make an object. Raises `Conflict` where there is one (which a repeated call may have made itself)."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: Json) -> Json:
        """Merge `body` into the object. With `metadata.resourceVersion` in it: only if it is still that version."""
        return await self._call("PATCH", path, body=body)

    async def _connect(self) -> None:
        old, info = self._session, self._login()
        context: ssl.SSLContext = info.as_ssl_context()
        self._server = info.server.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=MAX_CONNECTIONS),
            headers={**info.as_http_headers(), "User-Agent": "notification-operator"},
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        )
        if old is not None:
            await old.close()

    async def _call(self, verb: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Json:
        for attempt in range(1, ATTEMPTS + 1):
            session = self._session
            try:
                answer = await self._once(verb, path, query, body)
                KUBERNETES_CALLS.labels(verb, "ok").inc()
                return answer
            except (Unreachable, aiohttp.ClientError, TimeoutError) as error:
                KUBERNETES_CALLS.labels(verb, "unreachable").inc()
                if attempt == ATTEMPTS:
                    raise Unreachable(f"Kubernetes, {verb} {path}: {str(error) or 'no answer in time'}") from error
            except Refused as error:
                KUBERNETES_CALLS.labels(verb, "refused").inc()
                if error.status != _UNAUTHORIZED or attempt == ATTEMPTS:
                    raise
                await self._log_in_again(session)
            await asyncio.sleep(BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1))
        raise AssertionError("the last attempt returns or raises")

    async def _log_in_again(self, used: aiohttp.ClientSession | None) -> None:
        """A pod's token changes within the hour; one of many callers fetches the new one."""
        async with self._logging_in:
            if self._session is used:
                await self._connect()

    async def _once(self, verb: str, path: str, query: Mapping[str, str] | None, body: Any) -> Json:
        assert self._session is not None, "use it as a context manager"  # noqa: S101 -- a bug of the caller's
        headers = {"Content-Type": MERGE_PATCH if verb == "PATCH" else "application/json"} if body is not None else {}
        data = orjson.dumps(body) if body is not None else None
        url = self._server + path
        async with self._session.request(verb, url, params=query, data=data, headers=headers) as response:
            raw = await response.read()
        answer: Json = _parsed(raw)
        if response.status < 400:
            return answer
        raise _error(verb, path, response.status, str(answer.get("message") or response.reason))


def _parsed(raw: bytes) -> Json:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(verb: str, path: str, status: int, message: str) -> Refused | Unreachable:
    text = f"Kubernetes, {verb} {path}: {message}"
    if status in _PASSING:
        return Unreachable(text)
    if status == 404:
        return Gone(text, status)
    return Conflict(text, status) if status == 409 else Refused(text, status)
