"""An estimate of the memory that the requests of one connection use, except what other budgets count."""

from collections import deque

from aiohttp import StreamReader
from aiohttp.streams import EMPTY_PAYLOAD

# aiohttp keeps the bytes and the text of each header. A text with one emoji uses four bytes per character.
_BYTES_PER_ASCII_BYTE = 2
_BYTES_PER_BYTE = 5
_BYTES_PER_FIELD = 256
"""Of a header beyond its text: four objects and their entries in three containers."""
_BYTES_PER_REQUEST = 1024
_BYTES_PER_PIECE = 128
"""Of a piece of a body beyond its content. A chunk may have a single byte."""


class RequestMemory:
    """Counts headers, and the parts of bodies that have arrived and have not been read.

    An admitted body, which is about to be read, has its own budget. Only the overhead of its pieces counts here.
    """

    def __init__(self) -> None:
        self.admitted: StreamReader | None = None
        self._started_bytes = 0
        """Of incomplete headers."""
        self._requests: deque[tuple[int, StreamReader]] = deque()
        """Memory of the headers, and the body: of the request in progress and those after it."""

    @property
    def used_bytes(self) -> int:
        return self._started_bytes + sum(headers + self._body_bytes(body) for headers, body in self._requests)

    def add_headers(self, piece: bytes) -> None:
        """Count a part of a request's headers."""
        self._started_bytes += len(piece) * (_BYTES_PER_ASCII_BYTE if piece.isascii() else _BYTES_PER_BYTE)
        self._started_bytes += piece.count(b"\n") * _BYTES_PER_FIELD

    def add_request(self, body: StreamReader) -> None:
        """Count a request whose headers are complete."""
        self._requests.append((_BYTES_PER_REQUEST + self._started_bytes, body))
        self._started_bytes = 0

    def keep_newest(self, count: int) -> None:
        """Drop all but the newest requests."""
        while len(self._requests) > count:
            self._requests.popleft()

    def drop_incomplete(self) -> None:
        """Drop the incomplete headers."""
        self._started_bytes = 0

    def _body_bytes(self, body: StreamReader) -> int:
        if body is EMPTY_PAYLOAD:
            return 0
        pieces = _BYTES_PER_PIECE * len(body._buffer)
        return pieces if body is self.admitted else pieces + body._size


def drop_unread(body: StreamReader) -> None:
    """Free the unread part of a body. Its reader must get an error instead."""
    body._buffer.clear()
    body._buffer_offset = body._size = 0
    if body._http_chunk_splits is not None:
        body._http_chunk_splits.clear()
