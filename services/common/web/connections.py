"""Connections to a port of ours: none may be slow, idle or unread for ever, and there are only so many.

aiohttp (3.14) by itself leaves a connection that never sends a whole request open for an hour, and one that never reads
its answer for ever. It also answers what it cannot parse in plain text.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.web_protocol import _ErrInfo

from services.common.deadline import Deadline
from services.common.memory import MIB, MemoryBudget, MemoryFull
from services.common.telemetry.metrics import CONNECTIONS_CLOSED, MEMORY_REFUSED
from services.common.web.open_connections import OpenConnections, connections_within_file_limit
from services.common.web.problem import (
    REFUSAL,
    Problem,
    Refusal,
    from_http_exception,
    from_unreadable,
    plain_refusal,
    unavailable,
)
from services.common.web.request_parser import MAX_HEADER_BYTES, MAX_QUEUED, RequestParser

__all__ = ["CONNECTIONS", "MAX_HEADER_BYTES", "ApiSite", "admitted_body", "is_body_unasked"]

logger = logging.getLogger(__name__)

HEADERS_SECONDS = 10.0
"""From the first byte of a request, or from the connecting, to the end of its headers."""
IDLE_SECONDS = 75.0
"""Between two requests: longer than a load balancer in front keeps its connections (60 s mostly)."""
WRITE_SECONDS = 30.0
"""For a client to read an answer."""
MAX_CONNECTIONS = 2_000
"""About 16 kB of memory each, while they are idle."""
KEPT_HEADER_BYTES = 64 * 1024
"""An idle connection keeps the headers of its last request in memory, so one that keeps more is not kept itself."""
_READ_BYTES = 32 * 1024
"""Of a body that nobody reads: twice as many are taken in before the connection is read no further."""
_BACKLOG = 1_024

Charge = Callable[[int], None]
CONNECTIONS = web.AppKey("connections", MemoryBudget)
"""What all connections may use of the memory: headers, bodies that are not admitted, answers that are not read."""


class ApiSite(web.BaseSite):
    """Listens on a port.

    :raises OSError: by `start`, where it cannot listen.
    """

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, allowed_hosts: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        self._allowed_hosts = allowed_hosts
        self._host = host
        self._port = port
        self._refusal = runner.app.get(REFUSAL, plain_refusal)
        self._most_by_files = connections_within_file_limit()
        self._open = OpenConnections(runner.app.get(CONNECTIONS) or MemoryBudget("connections", 8 * MIB))

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self._port, backlog=self._backlog)

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None  # noqa: S101 — BaseSite has looked
        if not self._open.admit(min(MAX_CONNECTIONS, self._most_by_files)):
            return _Refused()
        return _Connection(server, self._open, self._refusal, self._allowed_hosts)


def admitted_body(request: web.Request, charge: Charge) -> AbstractContextManager[None]:
    """Have the body read within the block; a client that waits to be asked (Expect: 100-continue) is asked.

    :param charge: called with the length of the part that has arrived, each time before it can be read. Where it
        raises `MemoryFull`, whoever reads the body gets the error, and what is still sent is discarded.
    :raises MemoryFull: for the part that has arrived already.
    """
    connection = request.protocol
    return connection.admitted_body(request, charge) if isinstance(connection, _Connection) else nullcontext()


def is_body_unasked(request: web.Request) -> bool:
    """Tell whether the client may not have sent its body because it was not asked to."""
    connection = request.protocol
    return isinstance(connection, _Connection) and connection.requests.unasked is request.content


class _Connection(web.RequestHandler):
    """aiohttp's connection with deadlines and limits."""

    __slots__ = (
        "_allowed_hosts",
        "_charge",
        "_done",
        "_headers_deadline",
        "_is_half_closed",
        "_is_worked_off",
        "_open",
        "_refusal",
        "_socket",
        "_write_deadline",
        "requests",
    )

    def __init__(
        self,
        manager: web.Server,
        open_connections: OpenConnections,
        refusal: Refusal,
        allowed_hosts: frozenset[str],
    ) -> None:
        no_log: Any = None  # as AppRunner passes it, against the type
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
        self._refusal = refusal
        self._allowed_hosts = allowed_hosts
        self._done = 0
        self._is_half_closed = self._is_worked_off = False
        self._charge: Charge | None = None
        """For the body that is admitted."""
        self._socket: asyncio.Transport | None = None
        """Like `transport`, but known until the connection is lost."""
        self._headers_deadline = Deadline(self._give_up)
        self._write_deadline = Deadline(self._give_up_writing)

    @property
    def bytes_in_work(self) -> int:
        """See `Closable`."""
        return 0 if self._is_idle() or self._is_worked_off else self.requests.held_bytes

    async def start(self) -> None:
        """Work on the requests, one after the other."""
        try:
            await super().start()
        finally:
            self._is_worked_off = True
            self._open.worked_off(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._socket = self.transport
        self._open.opened(self)
        self._headers_deadline.set(HEADERS_SECONDS)

    def data_received(self, data: bytes) -> None:
        had_unparsed = self.requests.has_unparsed
        super().data_received(data)
        if not data and not had_unparsed:  # aiohttp asks so after each body
            return
        self._charge_body()
        if not self._open.hold(self, self._held_bytes()):
            self._refuse_for_memory()
        self._end_if_last()
        self._note_state()
        self._watch_headers()
        self._watch_writing()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Keep the connection for the answers to requests in work: the client may have ended only its own side."""
        if self._is_idle():
            return False
        self._is_half_closed = True
        self.requests.ended()
        self._note_state()
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
        self._note_state()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_state()
        self._watch_writing()

    def force_close(self) -> None:
        super().force_close()
        self._watch_writing()

    def close_now(self) -> None:
        """Close without an answer, and without what is not written yet."""
        super().force_close()
        if self._socket is not None:
            self._socket.abort()

    @contextmanager
    def admitted_body(self, request: web.Request, charge: Charge) -> Iterator[None]:
        """Charge for the body within the block; send the interim answer that the client waits for, if it does."""
        charge(request.content.total_bytes)
        self._charge = charge
        if self.requests.admit_body(request.content) and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._open.hold(self, self._held_bytes())  # less than before
        try:
            yield
        finally:  # what is not read counts as the connection's again
            self._charge = None
            self.requests.release_body()

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        async def handled(request: web.BaseRequest) -> web.StreamResponse:
            try:
                if request_handler == self._request_handler:  # else the answer to what is not HTTP
                    self._check_host(request)
                response = await request_handler(request)
            except web.HTTPException as error:  # raised before the application's own handling of errors
                response = self._refusal(from_http_exception(error), request.headers.get(hdrs.ORIGIN))
            if self._is_last() or (not self._messages and self.requests.held_bytes > KEPT_HEADER_BYTES):
                response.force_close()
            return response

        self._note_state()
        try:
            return await super()._handle_request(request, start_time, handled)
        finally:
            self._answered()

    def _check_host(self, request: web.BaseRequest) -> None:
        """Refuse a name that is not ours: a web site whose name leads here by DNS rebinding bears its own."""
        hosts = request.headers.getall(hdrs.HOST, [])
        is_served = len(hosts) == 1 and hosts[0].lower() in self._allowed_hosts and request.raw_path.startswith("/")
        if self._allowed_hosts and not is_served:
            raise web.HTTPMisdirectedRequest

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 — aiohttp's own text, which may quote the request
    ) -> web.StreamResponse:
        """Answer what never became a request, and what failed outside of the application's own handling."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, Problem):
            logger.error("answered %d", status, exc_info=exc, extra={"action": "request"})
        response = self._refusal(from_unreadable(status, exc), self.requests.origin)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        if self.transport is not None:  # else it is only that nobody is there any longer
            super().log_exception(*args, **kwargs)

    def _is_idle(self) -> bool:
        return self._request_count == self._done

    def _is_last(self) -> bool:
        return self.requests.is_broken and not self._messages

    def _answered(self) -> None:
        self._done += 1
        self.requests.answered()
        self._open.hold(self, self._held_bytes())  # without the body, which has been read
        self._note_state()
        self._end_if_last()
        if self._is_half_closed and self._is_last():
            self.close()
        self._watch_headers()
        self._watch_writing()

    def _end_if_last(self) -> None:
        if self._is_idle() and self._is_last() and self._socket is not None and not self._socket.is_closing():
            with suppress(OSError):  # the client has left
                self._socket.write_eof()  # the client need not wait for the end of what it still sends

    def _note_state(self) -> None:
        if self._is_idle():
            self._open.idle(self)
        elif self._paused or self._is_half_closed or not (self._messages or self.requests.is_body_whole):
            self._open.waiting(self)
        else:
            self._open.working(self)

    def _watch_headers(self) -> None:
        """Have a deadline for the headers of a request that has started, from when nothing else is in work."""
        if not self._is_idle():
            self._headers_deadline.cancel()
        elif self.requests.has_started:
            self._headers_deadline.set(HEADERS_SECONDS)

    def _give_up(self) -> None:
        if self._is_idle():
            CONNECTIONS_CLOSED.labels("slow").inc()
            self.force_close()

    def _process_keepalive(self) -> None:
        was_open = not self._force_close
        super()._process_keepalive()
        if was_open and self._force_close:
            CONNECTIONS_CLOSED.labels("idle").inc()

    def _charge_body(self) -> None:
        if self._charge is None:
            return
        try:
            self._charge(self.requests.admitted_bytes)
        except MemoryFull as error:
            self._charge = None
            self.requests.give_up_body(error)

    def _held_bytes(self) -> int:
        unwritten = self._socket.get_write_buffer_size() if self._socket is not None else 0
        return self.requests.held_bytes + unwritten

    def _watch_writing(self) -> None:
        """Have a deadline while something that was answered is not written yet."""
        if self._socket is None or not self._socket.get_write_buffer_size():
            self._write_deadline.cancel()
            return
        self._write_deadline.set(WRITE_SECONDS)
        if not self._socket.is_closing() and not self._open.hold(self, self._held_bytes()):
            CONNECTIONS_CLOSED.labels("memory").inc()
            self.close_now()

    def _give_up_writing(self) -> None:
        if self._socket is not None and self._socket.get_write_buffer_size():
            CONNECTIONS_CLOSED.labels("unread").inc()
            self.close_now()

    def _refuse_for_memory(self) -> None:
        MEMORY_REFUSED.labels("connections").inc()
        full = MemoryFull("headers and unread bodies of all connections")
        if self._done < self._request_count - len(self._messages):  # a request is in work
            self.requests.give_up_body(full)
            return
        if self._messages and not isinstance(message := self._messages[0][0], _ErrInfo):
            self.requests.origin = message.headers.get(hdrs.ORIGIN)
        self._request_count += 1 - len(self._messages)
        self._messages.clear()
        refused = _ErrInfo(HTTPStatus.SERVICE_UNAVAILABLE, unavailable(full), "")
        self._messages.append((refused, self.requests.refuse_all()))
        self._open.hold(self, self._held_bytes())  # less than before
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Refused(asyncio.Protocol):
    """One connection too many, while whole requests are in work on all others."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        CONNECTIONS_CLOSED.labels("full").inc()
        cast("asyncio.WriteTransport", transport).abort()  # uvloop's is no subclass
