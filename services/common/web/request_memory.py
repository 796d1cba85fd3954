"""What the requests of one connection hold in memory, about, as far as no other budget counts it."""

from collections import deque

from aiohttp import StreamReader
from aiohttp.streams import EMPTY_PAYLOAD

# Held are the bytes and the text of each header; a text with one emoji has four bytes a character.
_HELD_PER_ASCII_BYTE = 2
_HELD_PER_BYTE = 5
_HELD_PER_FIELD = 256
"""Beyond the bytes of a header: four objects and their places in three containers."""
_HELD_PER_HEAD = 1024
_HELD_PER_PIECE = 128
"""Beyond the bytes of each piece of a body: a chunk may have as little as one byte."""


class RequestMemory:
    """Counts headers, and the parts of bodies that have arrived and are not read.

    An admitted body, which is about to be read, has a budget of its own; only the cost of its pieces counts here.
    """

    def __init__(self) -> None:
        self.admitted: StreamReader | None = None
        self._started_bytes = 0
        """Of headers that have not ended."""
        self._requests: deque[tuple[int, StreamReader]] = deque()
        """The last one that was taken into work and those after it: what the headers hold, and the body."""

    @property
    def held_bytes(self) -> int:
        return self._started_bytes + sum(head + self._held_by(body) for head, body in self._requests)

    def add_headers(self, piece: bytes) -> None:
        """Count a part of a request's headers."""
        self._started_bytes += len(piece) * (_HELD_PER_ASCII_BYTE if piece.isascii() else _HELD_PER_BYTE)
        self._started_bytes += piece.count(b"\n") * _HELD_PER_FIELD

    def add_request(self, body: StreamReader) -> None:
        """Note that the headers have ended, and the body of their request."""
        self._requests.append((_HELD_PER_HEAD + self._started_bytes, body))
        self._started_bytes = 0

    def keep_newest(self, count: int) -> None:
        """Forget all requests but the newest ones."""
        while len(self._requests) > count:
            self._requests.popleft()

    def forget_started(self) -> None:
        """Forget the headers that have not ended."""
        self._started_bytes = 0

    def _held_by(self, body: StreamReader) -> int:
        if body is EMPTY_PAYLOAD:
            return 0
        pieces = _HELD_PER_PIECE * len(body._buffer)
        return pieces if body is self.admitted else pieces + body._size


def drop_unread(body: StreamReader) -> None:
    """Free what has arrived of a body and is not read; whoever reads it must get an error instead."""
    body._buffer.clear()
    body._buffer_offset = body._size = 0
    if body._http_chunk_splits is not None:
        body._http_chunk_splits.clear()
