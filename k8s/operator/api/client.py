"""A small client of the Kubernetes API with deadlines, retries and typed errors.

The official client would take most of the operator's memory, and four verbs are enough.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import kopf
import orjson

from k8s.operator.metrics import KUBERNETES_CALLS
from notification_api import PermanentError, TransientError
from services.common.backoff import backoff_seconds

logger = logging.getLogger(__name__)

Json = dict[str, Any]

CALL_SECONDS = 10.0
ATTEMPTS = 4
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.6, 2.4
MAX_CONNECTIONS = 20
MERGE_PATCH = "application/merge-patch+json"
_RETRIED_STATUSES = {429, 500, 502, 503, 504}
_UNAUTHORIZED = 401


class Unreachable(TransientError):
    """The API server did not answer, or cannot answer now."""


class Refused(PermanentError):
    """The API server refused the call. The message is the server's, `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ObjectNotFound(Refused):
    """The object does not exist."""


class Conflict(Refused):
    """The object exists already, or has changed since it was read."""


def log_in() -> kopf.ConnectionInfo:
    """Find the API server as kopf does: with the pod's service account, else with KUBECONFIG.

    :raises PermanentError: when neither exists.
    """
    settings = kopf.OperatorSettings()
    for login in (kopf.login_with_service_account, kopf.login_with_kubeconfig):
        found = login(settings=settings)
        if found is not None:
            return found
    raise PermanentError("No Kubernetes API: neither a pod's service account nor KUBECONFIG exists.")


class Kubernetes:
    """Use as an async context manager. Paths begin with /api or /apis."""

    def __init__(
        self,
        login: Callable[[], kopf.ConnectionInfo] = log_in,
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        self._login = login
        self._first_backoff_seconds = first_backoff_seconds
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
        """Return the object, or None if it does not exist."""
        try:
            return await self._call("GET", path, query=query)
        except ObjectNotFound:
            return None

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        """Return the objects of a list.

        :param fresh: read the current state. Otherwise the list comes from the API server's cache, which costs it
            little. A cache may be arbitrarily old, so decisions that cannot be undone need a fresh list.
        """
        version = {} if fresh else {"resourceVersion": "0"}
        listed = await self._call("GET", path, query={**version, **query})
        return list(listed.get("items") or [])

    async def create(self, path: str, body: Json) -> Json:
        """Create an object.

        :raises Conflict: when it exists already, possibly created by an earlier attempt of the same call.
        """
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: Json) -> Json:
        """Merge `body` into the object. With `metadata.resourceVersion`, only if the object still has that version."""
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
            pause = backoff_seconds(attempt, base_seconds=self._first_backoff_seconds, cap_seconds=MAX_BACKOFF_SECONDS)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _log_in_again(self, used: aiohttp.ClientSession | None) -> None:
        """Log in again, once for all callers: the token of a pod's service account changes every hour."""
        async with self._logging_in:
            if self._session is used:
                await self._connect()

    async def _once(self, verb: str, path: str, query: Mapping[str, str] | None, body: Any) -> Json:
        assert self._session is not None, "use it as a context manager"  # noqa: S101 -- a mistake in our own code
        headers = {"Content-Type": MERGE_PATCH if verb == "PATCH" else "application/json"} if body is not None else {}
        data = orjson.dumps(body) if body is not None else None
        url = self._server + path
        async with self._session.request(verb, url, params=query, data=data, headers=headers) as response:
            raw = await response.read()
        answer: Json = _parse(raw)
        if response.status < 400:
            return answer
        raise _error(verb, path, response.status, str(answer.get("message") or response.reason))


def _parse(raw: bytes) -> Json:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(verb: str, path: str, status: int, message: str) -> Refused | Unreachable:
    text = f"Kubernetes, {verb} {path}: {message}"
    if status in _RETRIED_STATUSES:
        return Unreachable(text)
    if status == 404:
        return ObjectNotFound(text, status)
    return Conflict(text, status) if status == 409 else Refused(text, status)
