"""aiohttp's request parser with further limits: total header bytes, pipelined requests, trailers.

aiohttp (3.14) limits each header field but not their sum, and does not report how much of a request has arrived. So
its parser gets the bytes in pieces that end where the headers or the body of a request end.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import HttpVersion10, HttpVersion11, StreamReader, hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web import RequestPayloadError
from aiohttp.web_protocol import _ErrInfo
from multidict import CIMultiDict, CIMultiDictProxy

from services.common.web.problem import Problem, from_parse_error
from services.common.web.problem_types import ProblemType
from services.common.web.request_memory import RequestMemory, drop_unread

logger = logging.getLogger(__name__)

# An id token of 200 kB must still get our response with CORS headers.
MAX_HEADER_BYTES = 256 * 1024
"""Of one request: the first line and all headers."""
MAX_LINE_BYTES = 16 * 1024
"""Of the request's target. yarl caches the last few hundred targets in memory."""
MAX_HEADERS = 128
MAX_QUEUED = 2
"""Requests that are parsed while another one of the same connection is in progress."""
_MAX_SLASHES = 64
"""In the path: the time of aiohttp's route lookup grows with their number times the length of the path."""
_MAX_AUTHORITY = 255
"""Of a target with a host: the time to decode it (IDNA) grows with the square of its length."""
_MAX_LENGTH_DIGITS = 20
_MAX_EMPTY_BYTES = 1024
"""Empty lines before a request."""
_BODY_PIECE_BYTES = 64 * 1024
_CHUNKED_PIECE_BYTES = 16 * 1024
_MAX_WITHOUT_DATA_BYTES = 32 * 1024
"""Of a chunked body: successive bytes that are not data, such as trailers."""
_END = b"\r\n\r\n"
_ORIGIN = re.compile(rb"\r\nOrigin:[ \t]*([\x21-\x7e]{1,256})[ \t]*\r\n", re.IGNORECASE)

Message = tuple[RawRequestMessage | _ErrInfo, StreamReader]


class RequestParser:
    """Replaces aiohttp's parser in a connection.

    After a request that cannot be parsed, the rest of the input is discarded: where the next request begins is unknown.
    It is still received, so that the client can read the response before the connection is closed.
    """

    def __init__(self, connection: BaseProtocol, loop: asyncio.AbstractEventLoop, read_bytes: int) -> None:
        self._connection = connection
        self._loop = loop
        self._parser = HttpRequestParser(
            connection,
            loop,
            read_bytes,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            payload_exception=RequestPayloadError,
            auto_decompress=False,  # encodings are refused, so nothing may be inflated
            max_msg_queue_size=0,  # ours is `MAX_QUEUED`
        )
        self._unfed = b""
        self._payload: StreamReader = EMPTY_PAYLOAD
        self._body_left: int | None = 0
        """Bytes of the current body that have not been fed yet; None for a chunked body."""
        self._without_data = 0
        self._is_upgrade = False
        self._is_answered = False
        self._last_bytes = b""
        self._header_bytes = 0
        self._empty_bytes = 0
        self._memory = RequestMemory()
        self._queued = 0
        self.is_broken = False
        self.origin: str | None = None
        """The Origin header of a request that could not be parsed, if it is known."""
        self.awaiting_continue: StreamReader | None = None
        """The body that the client sends only after `100 Continue`."""

    @property
    def has_started(self) -> bool:
        """Whether a part of a request's headers has arrived."""
        return self._header_bytes > 0

    @property
    def has_unparsed(self) -> bool:
        """Whether some input has not been parsed yet."""
        return bool(self._unfed)

    @property
    def is_body_complete(self) -> bool:
        """Whether the last parsed request has its whole body."""
        return self._is_in_headers()

    @property
    def used_bytes(self) -> int:
        """An estimate of the memory for headers, unparsed input and bodies that are not admitted."""
        return self._memory.used_bytes + len(self._unfed)

    @property
    def admitted_bytes(self) -> int:
        """How many bytes of the admitted body have arrived."""
        return 0 if self._memory.admitted is None else self._memory.admitted.total_bytes

    def feed_data(self, data: bytes) -> tuple[list[Message], bool, bytes]:
        """Parse, like aiohttp's parser; called without data to continue after a pause."""
        if self.is_broken:
            self._discard(data)
            return [], False, b""
        if not data and not self._unfed and self._is_in_headers():
            return [], False, b""  # called to continue, but no input is left
        return self._feed_pieces(data), False, b""

    def admit_body(self, payload: StreamReader) -> bool:
        """Note that `payload` is about to be read; return whether `100 Continue` has to be sent for it."""
        self._memory.admitted = payload
        needs_continue = payload is self.awaiting_continue
        self.awaiting_continue = None if needs_continue else self.awaiting_continue
        return needs_continue

    def release_body(self) -> None:
        """Note that the admitted body is no longer read."""
        self._memory.admitted = None

    def discard_body(self, error: Exception) -> None:
        """Discard the current body. Its reader gets `error`, unless the request has been answered."""
        self.is_broken = True
        if not self._is_answered:
            self._payload.set_exception(error)
        self._discard(self._unfed)
        self._unfed = b""
        if self._payload is not EMPTY_PAYLOAD:
            self._loop.call_soon(self._drop, self._payload)  # later: a read may be in progress

    def reject_all(self) -> StreamReader:
        """Like `reject`, and drop the queued requests; for a connection without a request in progress."""
        self._memory.keep_newest(0)
        self._queued = 0
        return self.reject()

    def reject(self) -> StreamReader:
        """Accept no more requests; return a stream in place of a body, which ends when the input is discarded."""
        self.is_broken = True
        self._unfed = b""
        self._header_bytes = 0
        self._memory.drop_incomplete()
        self._parser = HttpRequestParser(self._connection, self._loop, 0)  # frees the memory of the old one
        self._body_left = None
        self._payload = StreamReader(self._connection, _BODY_PIECE_BYTES, loop=self._loop)
        return self._payload

    def answered(self) -> None:
        """Note that the request was answered, so that the rest of its body can be discarded."""
        self._is_answered = not self._queued
        if self.is_broken and self._payload is not EMPTY_PAYLOAD:
            self._payload._exception = None

    def ended(self) -> None:
        """Note that the client has closed its side: an incomplete body stays incomplete."""
        self.is_broken = True
        if not self._is_in_headers():
            self.discard_body(RequestPayloadError("the client sent only a part of the body"))
            self._payload.feed_eof()

    def lost(self) -> None:
        """Note that the connection has ended."""
        if self.is_broken and not self._payload.is_eof():
            self._payload.feed_eof()

    def pause_reading(self) -> None:
        """Pause within a body. aiohttp resumes with `feed_data(b"")`."""
        self._parser.pause_reading()

    def message_consumed(self) -> None:
        """Note that the next request is in progress; the one before it has finished."""
        self._queued = max(0, self._queued - 1)
        self._memory.keep_newest(self._queued + 1)

    def _is_in_headers(self) -> bool:
        return self._payload is EMPTY_PAYLOAD or self._payload.is_eof()

    def _must_wait(self) -> bool:
        return self._connection._reading_paused or self._queued >= MAX_QUEUED

    def _piece(self, data: bytes, position: int) -> bytes:
        if self._is_in_headers():
            return data[position : self._end_of_headers(data, position)]
        if self._body_left is None:
            return data[position : position + _CHUNKED_PIECE_BYTES]
        return data[position : position + min(_BODY_PIECE_BYTES, max(1, self._body_left))]

    def _end_of_headers(self, data: bytes, position: int) -> int:
        end = (self._last_bytes + data[position : position + len(_END)]).find(_END)
        if end >= 0:
            return position + end + len(_END) - len(self._last_bytes)
        end = data.find(_END, position)
        return len(data) if end < 0 else end + len(_END)

    def _feed_pieces(self, data: bytes) -> list[Message]:
        messages: list[Message] = []
        data, self._unfed, position = self._unfed + data, b"", 0
        while True:
            piece = self._piece(data, position)
            position += len(piece)
            try:
                found = self._feed(piece)
            except Exception as error:  # noqa: BLE001 — the client gets a response to any failure
                if not isinstance(error, HttpProcessingError | Problem):
                    name = type(error).__name__
                    logger.error("a request could not be parsed: %s", name)  # noqa: TRY400 — a traceback may quote the request
                self._fail(error, piece, messages)
                return messages
            messages += found
            if self.is_broken:
                return messages
            if position >= len(data) or self._must_wait():
                self._unfed = data[position:]
                return messages

    def _feed(self, piece: bytes) -> list[Message]:
        if self._is_in_headers():
            return self._feed_headers(piece)
        if self._body_left is None:
            return self._feed_chunks(piece)
        self._body_left = max(0, self._body_left - len(piece))
        return [self._begin(message, payload) for message, payload in self._parse(piece)]

    def _parse(self, piece: bytes) -> Sequence[tuple[RawRequestMessage, StreamReader]]:
        found, is_upgraded, _ = self._parser.feed_data(piece)
        if is_upgraded:  # other protocols are not supported; no request follows in the piece (see `_feed_chunks`)
            self._parser.set_upgraded(False)
        return found

    def _feed_headers(self, piece: bytes) -> list[Message]:
        self._count_headers(piece)
        found = self._parse(piece)
        if not found:
            self._last_bytes = (self._last_bytes + piece)[1 - len(_END) :]
            self._note_origin(piece)
        return [self._begin(message, payload) for message, payload in found]

    def _feed_chunks(self, piece: bytes) -> list[Message]:
        data_before = self._payload.total_bytes
        found = self._parse(piece)
        self._without_data = self._without_data + len(piece) if self._payload.total_bytes == data_before else 0
        if self._without_data > _MAX_WITHOUT_DATA_BYTES:
            raise Problem(ProblemType.MALFORMED_REQUEST, "The chunked body has too many bytes that are not data.")
        last_bytes = (self._last_bytes + piece)[-len(_END) :]
        messages = []
        for message, payload in found:
            self._memory.add_headers(b"".join(name + value + b"\n" for name, value in message.raw_headers))
            messages.append(self._begin(message, payload))
        self._last_bytes = last_bytes if self._body_left is None else b""
        if self._is_in_headers():
            self._after_chunks(last_bytes)
            self.is_broken = self._is_upgrade  # aiohttp's parser drops what follows in the piece
        return messages

    def _count_headers(self, piece: bytes) -> None:
        size = self._header_bytes + len(piece)
        if size > MAX_HEADER_BYTES:
            raise Problem(
                ProblemType.HEADERS_TOO_LARGE,
                f"All headers together are larger than {MAX_HEADER_BYTES} bytes. Send fewer or smaller ones.",
            )
        is_empty = not piece.strip(b"\r\n")
        if is_empty:  # each costs about as much time as a large piece
            self._empty_bytes += len(piece)
            if self._empty_bytes > _MAX_EMPTY_BYTES:
                raise Problem(ProblemType.MALFORMED_REQUEST, "The request follows too many empty lines.")
        if size > len(piece) or not is_empty:  # empty lines before a request are not part of it
            self._header_bytes = size
            self._memory.add_headers(piece)

    def _begin(self, message: RawRequestMessage, payload: StreamReader) -> Message:
        if message.version not in (HttpVersion10, HttpVersion11):
            raise Problem(ProblemType.MALFORMED_REQUEST, "Send the request as HTTP/1.1.")
        _check_target(message)
        length = _content_length(message)
        self._queued += 1
        self.origin = None
        self._memory.add_request(payload)
        self._header_bytes = self._empty_bytes = self._without_data = 0
        self._last_bytes = b""
        self._payload = payload
        self._is_upgrade = message.upgrade
        self._is_answered = False
        self._body_left = None if message.chunked else max(0, length - payload.total_bytes)
        return self._handle_expect(message, payload), payload

    def _handle_expect(self, message: RawRequestMessage, payload: StreamReader) -> RawRequestMessage:
        """Remove the Expect header, which RFC 9110 (10.1.1) allows to ignore; note that the client waits for 100.

        Otherwise aiohttp responds to unknown expectations, and to any on an unknown route, before the application.
        """
        expected = message.headers.getall(hdrs.EXPECT, [])
        if not expected:
            return message
        if message.version >= (1, 1) and payload is not EMPTY_PAYLOAD and expected[0].lower() == "100-continue":
            self.awaiting_continue = payload
        headers = CIMultiDict(message.headers)
        del headers[hdrs.EXPECT]
        return message._replace(headers=CIMultiDictProxy(headers))

    def _after_chunks(self, last_bytes: bytes) -> None:
        """Note whether the piece that ended a body also has the start of the next request.

        Chunks and headers end with an empty line. If a whole request with a body followed in the same piece, this is
        unknown: another request then counts as started, which closes the connection sooner if nothing follows.
        """
        ends_with_body = self._body_left is not None and self._payload.total_bytes > 0
        is_end = last_bytes == _END and not ends_with_body
        self._header_bytes = 0 if is_end else 1
        self._last_bytes = b"" if is_end else last_bytes[1:]

    def _fail(self, error: Exception, piece: bytes, messages: list[Message]) -> None:
        """Respond with the error. A request that is in progress gets it from its body instead."""
        if not self._is_in_headers():
            if not messages:
                self.discard_body(RequestPayloadError("the body cannot be parsed"))
                return
            request, _ = messages.pop()
            self.origin = None if isinstance(request, _ErrInfo) else request.headers.get(hdrs.ORIGIN)
        else:
            self._note_origin(piece)
        # A new error, since the text and traceback of the original contain parts of the request.
        is_target = isinstance(error, LineTooLong) and error.args[1] == MAX_LINE_BYTES
        problem = _uri_too_long() if is_target else from_parse_error(HTTPStatus.BAD_REQUEST, error)
        messages.append((_ErrInfo(HTTPStatus.BAD_REQUEST, problem.with_traceback(None), ""), self.reject()))

    def _note_origin(self, piece: bytes) -> None:
        origin = _ORIGIN.search(piece)
        self.origin = origin[1].decode() if origin else self.origin

    def _drop(self, payload: StreamReader) -> None:
        """Free the unread part of a body, and receive and discard the rest."""
        drop_unread(payload)
        if self._connection.transport is not None:
            self._connection.resume_reading()

    def _discard(self, data: bytes) -> None:
        if self._body_left is None or self._payload.is_eof():
            return
        self._body_left -= len(data)
        if self._body_left <= 0:
            self._payload.feed_eof()


def _check_target(message: RawRequestMessage) -> None:
    if message.path.partition("?")[0].count("/") > _MAX_SLASHES or len(message.url.raw_authority) > _MAX_AUTHORITY:
        raise _uri_too_long()


def _uri_too_long() -> Problem:
    return Problem(ProblemType.URI_TOO_LONG, "The request's path is too long. Send a shorter one.")


def _content_length(message: RawRequestMessage) -> int:
    length = message.headers.get(hdrs.CONTENT_LENGTH, "0")
    if len(length) > _MAX_LENGTH_DIGITS:
        raise Problem(ProblemType.MALFORMED_REQUEST, "The Content-Length is too long.")
    return int(length)
