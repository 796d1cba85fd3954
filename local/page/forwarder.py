"""Forwards requests to another server of this machine, unchanged except for what concerns one connection."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from services.common.web.connection import admitted_body
from services.common.web.cors import allow_origin
from services.common.web.problem import CONTENT_TYPE, Problem, new_request_id, problem_response
from services.common.web.problem_types import ProblemType

MAX_BODY_BYTES = 1024 * 1024
"""More than any service accepts, so that the service itself refuses a large body."""
TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=3, sock_read=40)
"""`sock_read` is longer than the services take for a request (REQUEST_TIMEOUT_SECONDS)."""
RETRY_AFTER_SECONDS = "1"

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),  # codespell:ignore te -- the header
    }
)
"""RFC 9110, section 7.6.1, and what older clients send."""
_OF_REQUEST = _HOP_BY_HOP | {"host", "content-length", "expect"}
"""The client sets these for its own connection."""
_NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)
"""Headers that aiohttp would add to a request without them."""


class Forwarder:
    """Forwards requests. Create it with `open_forwarder`."""

    def __init__(self, session: aiohttp.ClientSession, origins: frozenset[str]) -> None:
        self._session = session
        self._origins = origins

    async def forward(self, request: web.Request, base_url: str) -> web.StreamResponse:
        """Send the request to the server at `base_url`, and its answer to the client.

        Without an answer the client gets 502 or 504, which a web page of an allowed origin can read.
        """
        url = URL(base_url + request.raw_path, encoded=True)
        headers = _passed(request.headers, _OF_REQUEST)
        try:
            body = await _body_of(request)
            answer = await self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except Problem as problem:
            return self._readable(request, problem_response(problem, new_request_id()))
        except (aiohttp.ClientError, TimeoutError) as error:
            return self._readable(request, _no_answer(error))
        async with answer:
            return await _send(request, answer)

    def _readable(self, request: web.Request, response: web.Response) -> web.Response:
        """Let a page of an allowed origin read an answer that no service gave."""
        allow_origin(request.headers.get(hdrs.ORIGIN), response, self._origins)
        return response


@asynccontextmanager
async def open_forwarder(origins: frozenset[str]) -> AsyncIterator[Forwarder]:
    """Create a forwarder for the duration of the block.

    :param origins: those whose pages may read that a server does not answer. The servers have their own CORS.
    """
    async with aiohttp.ClientSession(
        timeout=TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=_NOT_ADDED
    ) as session:
        yield Forwarder(session, origins)


async def _body_of(request: web.Request) -> bytes | None:
    if not request.body_exists:
        return None
    body = bytearray()
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        with admitted_body(request, lambda _: None):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
            else:
                return bytes(body)
    raise Problem(ProblemType.BODY_TOO_LARGE, "The body is larger than any service accepts.")


async def _send(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Send the answer to the client. If it breaks off, the error closes the connection, so that the client notices."""
    response = web.StreamResponse(
        status=answer.status, reason=answer.reason, headers=_passed(answer.headers, _HOP_BY_HOP)
    )
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _passed(headers: Mapping[str, str], removed: frozenset[str]) -> CIMultiDict[str]:
    """Return the headers without `removed` and without those that a `Connection` header names."""
    lists = [value for name, value in headers.items() if name.lower() == "connection"]
    named = {name.strip().lower() for name in ",".join(lists).split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in removed | named)


def _no_answer(error: Exception) -> web.Response:
    """Return what a gateway answers for a service: it has no problem type of the API."""
    is_late = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError)
    status = HTTPStatus.GATEWAY_TIMEOUT if is_late else HTTPStatus.BAD_GATEWAY
    reason = "took too long to answer" if is_late else "does not answer. It may be starting"
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": f"The service {reason}. Try again.",
        "requestId": new_request_id(),
    }
    return web.json_response(
        problem, status=status, content_type=CONTENT_TYPE, headers={hdrs.RETRY_AFTER: RETRY_AFTER_SECONDS}
    )
