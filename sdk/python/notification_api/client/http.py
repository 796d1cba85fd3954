"""One HTTP call of a signed-in user: the id token, and errors for every answer that is not success."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar

import aiohttp

from notification_api.client.errors import NotTheApiError, ServiceError, SignedOutError, UnreachableError, is_retryable
from notification_api.client.id_tokens import IdTokens

T = TypeVar("T")

CALL_SECONDS = 15.0
"""Longer than the services' own time limits, so that their answer is seen and not this limit."""
JSON_TYPES = frozenset({"application/json", "application/problem+json"})
LONGEST_QUOTE = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    call: str
    """Method and URL."""
    status: int
    fields: Mapping[str, Any]
    served_at: float | None
    """When it was sent by the clock of the service, in epoch seconds, to the second."""

    def required(self, name: str, kind: type[T]) -> T:
        """Return a field.

        :raises NotTheApiError: when it is missing or of another type.
        """
        value = self.fields.get(name)
        if not isinstance(value, kind):
            raise NotTheApiError(f"{self.call} was answered {self.status} without {name!r}. Check the URL", self.status)
        return value


@dataclass(frozen=True, slots=True)
class _Received:
    call: str
    """Method and URL."""
    status: int
    headers: Mapping[str, str]
    body: bytes
    content_type: str


class HttpClient:
    """Makes calls with a user's id token. A refused token is renewed once. Use as a context manager."""

    def __init__(self, id_tokens: IdTokens) -> None:
        self._id_tokens = id_tokens
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call.

        :raises ServiceError: when the answer is not success.
        :raises UnreachableError: when there is none.
        :raises IdTokenError: when there is no id token.
        """
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        sent = dict(headers or {}) | ({} if data is None else {"Content-Type": "application/json"})
        token = await self._id_tokens.get()
        received = await self._send(method, url, token, data=data, params=query, headers=sent)
        if received.status == HTTPStatus.UNAUTHORIZED:
            renewed = await self._id_tokens.renew(token)
            if renewed != token:
                received = await self._send(method, url, renewed, data=data, params=query, headers=sent)
        return self._success(received)

    async def _send(self, method: str, url: str, token: str, *, headers: dict[str, str], **options: Any) -> _Received:
        if self._session is None:
            raise RuntimeError("Open the client first: `async with NotificationApi(…) as api:`")
        call = f"{method} {url}"
        authorized = headers | {"Authorization": f"Bearer {token}"}
        try:
            # The API never redirects. A proxy that wants a log-in would, and its page is no answer.
            async with self._session.request(
                method, url, headers=authorized, allow_redirects=False, **options
            ) as response:
                body = await response.read()
                return _Received(call, response.status, response.headers, body, response.content_type)
        except TimeoutError:
            raise UnreachableError(f"{call} was not answered within {CALL_SECONDS:g} s") from None
        except aiohttp.ClientError as error:
            raise UnreachableError(f"{call} failed: {str(error) or type(error).__name__}") from error

    def _success(self, received: _Received) -> Answer:
        fields = _json_object(received)
        if 200 <= received.status < 300:
            return Answer(received.call, received.status, fields, _served_at(received.headers))
        detail = _text(fields, "detail") or _text(fields, "title")
        is_signed_out = received.status == HTTPStatus.UNAUTHORIZED
        refused = f"{received.call} was answered {received.status}: {detail}"
        raise (SignedOutError if is_signed_out else ServiceError)(
            self._signed_out_message(received) if is_signed_out else refused,
            received.status,
            detail=detail,
            type=_text(fields, "type"),
            request_id=_text(fields, "requestId"),
            retry_after_seconds=_retry_after_seconds(received.headers),
        )

    def _signed_out_message(self, received: _Received) -> str:
        if self._id_tokens.can_renew:
            return f"{received.call} was answered 401: the id token was refused, and so was a new one"
        return (
            f"{received.call} was answered 401: the id token was refused, probably because it has expired."
            " A token that is given as text cannot be renewed: give a function that returns a valid one"
        )


def _json_object(received: _Received) -> Mapping[str, Any]:
    """:raises NotTheApiError: when the body is something else."""
    if received.content_type in JSON_TYPES:
        try:
            fields = json.loads(received.body)
        except ValueError:
            fields = None
        if isinstance(fields, dict):
            return fields
    quoted = " ".join(received.body[:LONGEST_QUOTE].decode(errors="replace").split())
    hint = "" if is_retryable(received.status) else ". Check the URL"
    raise NotTheApiError(
        f"{received.call} was answered {received.status} with {received.content_type}, which is not an answer of the"
        f" API: {quoted!r}{hint}",
        received.status,
        retry_after_seconds=_retry_after_seconds(received.headers),
    )


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return what a service asks for. The HTTP date that a proxy may send is ignored."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _served_at(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return None
