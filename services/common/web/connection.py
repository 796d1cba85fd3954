"""One HTTP connection, with deadlines for slow clients and a limit of memory.

aiohttp (3.14) keeps a connection that never sends a whole request open for an hour, and one that never reads its
response for ever. It also answers requests that it cannot parse in plain text.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.web_protocol import _ErrInfo

from services.common.memory import MemoryBudget, MemoryFull
from services.common.telemetry.metrics import CONNECTIONS_CLOSED, MEMORY_REFUSED
from services.common.web.deadline import Deadline
from services.common.web.open_connections import OpenConnections
from services.common.web.problem import (
    Problem,
    ProblemResponder,
    from_http_exception,
    from_parse_error,
    from_transient,
)
from services.common.web.request_parser import MAX_QUEUED, RequestParser

logger = logging.getLogger(__name__)

HEADERS_SECONDS = 10.0
"""From the first byte of a request, or from the start of the connection, to the end of the headers."""
IDLE_SECONDS = 75.0
"""Between two requests. Longer than load balancers keep their connections (mostly 60 s)."""
WRITE_SECONDS = 30.0
"""For a client to read a response."""
KEPT_HEADER_BYTES = 64 * 1024
"""An idle connection keeps the headers of its last request in memory. With more than this it is closed."""
_READ_BYTES = 32 * 1024
"""Of a body that is not being read: after twice as many bytes the socket is not read any further."""

ReserveBody = Callable[[int], None]
CONNECTIONS = web.AppKey("connections", MemoryBudget)
"""Memory for all connections: headers, bodies that are not admitted, and responses that are not read."""


def admitted_body(request: web.Request, reserve: ReserveBody) -> AbstractContextManager[None]:
    """Let the body be read within the block; answer `Expect: 100-continue`.

    :param reserve: called with the number of bytes that have arrived, each time before they can be read. If it raises
        `MemoryFull`, the reader of the body gets the error, and the rest of the body is discarded.
    :raises MemoryFull: for the bytes that have arrived before.
    """
    connection = request.protocol
    return connection.admitted_body(request, reserve) if isinstance(connection, Connection) else nullcontext()


def awaits_continue(request: web.Request) -> bool:
    """Return whether the client still waits for `100 Continue` before it sends the body."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.requests.awaiting_continue is request.content


class Connection(web.RequestHandler):
    """aiohttp's connection with deadlines and limits."""

    __slots__ = (
        "_allowed_hosts",
        "_finished_requests",
        "_has_ended",
        "_headers_deadline",
        "_is_half_closed",
        "_open",
        "_problem_responder",
        "_reserve_body",
        "_socket",
        "_write_deadline",
        "requests",
    )

    def __init__(
        self,
        manager: web.Server,
        open_connections: OpenConnections,
        problem_responder: ProblemResponder,
        allowed_hosts: frozenset[str],
    ) -> None:
        no_log: Any = None  # AppRunner passes None as well, although the type excludes it
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=no_log,
            keepalive_timeout=IDLE_SECONDS,
        )
        self.requests = RequestParser(self, self._loop, _READ_BYTES)
        self._parser = cast("Any", self.requests)
        self._max_msg_queue_size = MAX_QUEUED
        self._msg_queue_resume_size = MAX_QUEUED - 1
        self._open = open_connections
        self._problem_responder = problem_responder
        self._allowed_hosts = allowed_hosts
        self._finished_requests = 0
        self._is_half_closed = self._has_ended = False
        self._reserve_body: ReserveBody | None = None
        """Reserves memory for the admitted body."""
        self._socket: asyncio.Transport | None = None
        """Like `transport`, but set until the connection is lost."""
        self._headers_deadline = Deadline(self._on_headers_timeout)
        self._write_deadline = Deadline(self._on_write_timeout)

    @property
    def bytes_in_progress(self) -> int:
        """See `Closable`."""
        return 0 if self._is_idle() or self._has_ended else self.requests.used_bytes

    async def start(self) -> None:
        """Handle the requests, one after the other."""
        try:
            await super().start()
        finally:
            self._has_ended = True
            self._open.handler_ended(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._socket = self.transport
        self._open.opened(self)
        self._headers_deadline.set(HEADERS_SECONDS)

    def data_received(self, data: bytes) -> None:
        had_unparsed = self.requests.has_unparsed
        super().data_received(data)
        if not data and not had_unparsed:  # aiohttp calls it without data after each body
            return
        self._reserve_for_body()
        if not self._open.set_bytes(self, self._used_bytes()):
            self._reject_for_memory()
        self._end_if_last()
        self._update_state()
        self._update_headers_deadline()
        self._update_write_deadline()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Keep the connection for pending responses: the client may have closed only its own side."""
        if self._is_idle():
            return False
        self._is_half_closed = True
        self.requests.ended()
        self._update_state()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        self._headers_deadline.cancel()
        self._write_deadline.cancel()
        self._open.closed(self)
        self._socket = None
        self.requests.lost()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update_state()
        self._update_write_deadline()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update_state()
        self._update_write_deadline()

    def force_close(self) -> None:
        super().force_close()
        self._update_write_deadline()

    def close_now(self) -> None:
        """Close without a response, and drop unwritten data."""
        super().force_close()
        if self._socket is not None:
            self._socket.abort()

    @contextmanager
    def admitted_body(self, request: web.Request, reserve: ReserveBody) -> Iterator[None]:
        """Reserve memory for the body within the block; send `100 Continue` if the client waits for it."""
        reserve(request.content.total_bytes)
        self._reserve_body = reserve
        if self.requests.admit_body(request.content) and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._open.set_bytes(self, self._used_bytes())  # less than before
        try:
            yield
        finally:  # the unread rest counts for the connection again
            self._reserve_body = None
            self.requests.release_body()

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        async def handled(request: web.BaseRequest) -> web.StreamResponse:
            try:
                if request_handler == self._request_handler:  # else the response to invalid HTTP
                    self._check_host(request)
                response = await request_handler(request)
            except web.HTTPException as error:  # raised before the application's own handling of errors
                response = self._problem_responder(from_http_exception(error), request.headers.get(hdrs.ORIGIN))
            if self._is_last() or (not self._messages and self.requests.used_bytes > KEPT_HEADER_BYTES):
                response.force_close()
            return response

        self._update_state()
        try:
            return await super()._handle_request(request, start_time, handled)
        finally:
            self._request_finished()

    def _check_host(self, request: web.BaseRequest) -> None:
        """Refuse other host names: a DNS rebinding attack sends the name of the attacker's site."""
        hosts = request.headers.getall(hdrs.HOST, [])
        is_served = len(hosts) == 1 and hosts[0].lower() in self._allowed_hosts and request.raw_path.startswith("/")
        if self._allowed_hosts and not is_served:
            raise web.HTTPMisdirectedRequest

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 — aiohttp's text may quote the request
    ) -> web.StreamResponse:
        """Respond to what could not be parsed, and to errors outside the application's error handling."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the response has been sent")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, Problem):
            logger.error("answered %d", status, exc_info=exc, extra={"action": "request"})
        response = self._problem_responder(from_parse_error(status, exc), self.requests.origin)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        if self.transport is not None:  # else the client has disconnected, which is no error
            super().log_exception(*args, **kwargs)

    def _is_idle(self) -> bool:
        return self._request_count == self._finished_requests

    def _is_last(self) -> bool:
        return self.requests.is_broken and not self._messages

    def _request_finished(self) -> None:
        self._finished_requests += 1
        self.requests.answered()
        self._open.set_bytes(self, self._used_bytes())  # without the body, which has been read
        self._update_state()
        self._end_if_last()
        if self._is_half_closed and self._is_last():
            self.close()
        self._update_headers_deadline()
        self._update_write_deadline()

    def _end_if_last(self) -> None:
        if self._is_idle() and self._is_last() and self._socket is not None and not self._socket.is_closing():
            with suppress(OSError):  # the client has left
                self._socket.write_eof()  # so that the client need not send the rest of its body first

    def _update_state(self) -> None:
        if self._is_idle():
            self._open.mark_idle(self)
        elif self._paused or self._is_half_closed or not (self._messages or self.requests.is_body_complete):
            self._open.mark_waiting(self)
        else:
            self._open.mark_busy(self)

    def _update_headers_deadline(self) -> None:
        """Limit the time for the headers of a request that has started, once no other request is in progress."""
        if not self._is_idle():
            self._headers_deadline.cancel()
        elif self.requests.has_started:
            self._headers_deadline.set(HEADERS_SECONDS)

    def _on_headers_timeout(self) -> None:
        if self._is_idle():
            CONNECTIONS_CLOSED.labels("slow").inc()
            self.force_close()

    def _process_keepalive(self) -> None:
        was_open = not self._force_close
        super()._process_keepalive()
        if was_open and self._force_close:
            CONNECTIONS_CLOSED.labels("idle").inc()

    def _reserve_for_body(self) -> None:
        if self._reserve_body is None:
            return
        try:
            self._reserve_body(self.requests.admitted_bytes)
        except MemoryFull as error:
            self._reserve_body = None
            self.requests.discard_body(error)

    def _used_bytes(self) -> int:
        unwritten = self._socket.get_write_buffer_size() if self._socket is not None else 0
        return self.requests.used_bytes + unwritten

    def _update_write_deadline(self) -> None:
        """Limit the time for the client to read what was sent."""
        if self._socket is None or not self._socket.get_write_buffer_size():
            self._write_deadline.cancel()
            return
        self._write_deadline.set(WRITE_SECONDS)
        if not self._socket.is_closing() and not self._open.set_bytes(self, self._used_bytes()):
            CONNECTIONS_CLOSED.labels("memory").inc()
            self.close_now()

    def _on_write_timeout(self) -> None:
        if self._socket is not None and self._socket.get_write_buffer_size():
            CONNECTIONS_CLOSED.labels("unread").inc()
            self.close_now()

    def _reject_for_memory(self) -> None:
        MEMORY_REFUSED.labels("connections").inc()
        full = MemoryFull("headers and unread bodies of all connections")
        if self._finished_requests < self._request_count - len(self._messages):  # a request is in progress
            self.requests.discard_body(full)
            return
        if self._messages and not isinstance(message := self._messages[0][0], _ErrInfo):
            self.requests.origin = message.headers.get(hdrs.ORIGIN)
        self._request_count += 1 - len(self._messages)
        self._messages.clear()
        refused = _ErrInfo(HTTPStatus.SERVICE_UNAVAILABLE, from_transient(full), "")
        self._messages.append((refused, self.requests.reject_all()))
        self._open.set_bytes(self, self._used_bytes())  # less than before
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
