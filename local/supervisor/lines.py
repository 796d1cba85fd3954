"""Lines from a process's output, whatever it writes."""

import asyncio
from collections.abc import AsyncIterator

MAX_LINE_BYTES = 16_384
"""A longer line is shown in pieces, so that one process cannot fill the supervisor's memory."""
CHUNK_BYTES = 65_536


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Each line without its end; undecodable bytes are replaced, the last line need not be ended."""
    rest = b""
    while chunk := await stream.read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            for piece in _pieces(line):
                yield piece
        while len(rest) > MAX_LINE_BYTES:
            yield _text(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
    if rest:
        yield _text(rest)


def _pieces(line: bytes) -> list[str]:
    starts = range(0, max(len(line), 1), MAX_LINE_BYTES)
    return [_text(line[start : start + MAX_LINE_BYTES]) for start in starts]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
