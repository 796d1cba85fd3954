"""The supervisor's output: lines of the processes, each with the name of its process, coloured on a terminal."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TextIO

from local.supervisor.log_format import format_line

MAX_LINE_BYTES = 16_384
"""A longer line is printed in pieces, so that one process cannot fill the supervisor's memory."""
CHUNK_BYTES = 65_536


async def read_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield each line without its end. Undecodable bytes are replaced; the last line may have no end."""
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


COLOURS = (36, 35, 34, 32, 33, 96, 95, 94, 92, 93)
"""ANSI foreground colours that are legible on dark and light backgrounds; red is for errors."""
RED = 31
WIDTH = len("bootstrap")


class Console:
    """Writes whole lines, each with the name of its process."""

    def __init__(self, stream: TextIO, *, colour: bool, format_logs: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._formats_logs = format_logs
        self._colours: dict[str, int] = {}
        self.closed = False
        """The output is closed; further lines are dropped."""
        self.on_close: Callable[[], object] = _do_nothing

    def line(self, name: str, text: str) -> None:
        """Print a line of the process `name`; JSON log lines are formatted on a terminal."""
        code = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        for part in (format_line(text) if self._formats_logs else text).split("\n"):
            self._write(f"{self._paint(f'{name:<{WIDTH}} |', code)} {part}")

    def info(self, text: str = "") -> None:
        """Print a message of the supervisor."""
        self._write(text)

    def error(self, text: str) -> None:
        """Print an error message of the supervisor."""
        self._write(self._paint(text, RED))

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        if self.closed:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError:
            # After a closed terminal or pipe the supervisor must still stop its children in order.
            self.closed = True
            self.on_close()


def _do_nothing() -> None:
    """The default of `on_close`."""


def console_for(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """Create a console with colours on a terminal, unless the user has disabled them (no-color.org)."""
    is_terminal = stream.isatty()
    colour = is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Console(stream, colour=colour, format_logs=is_terminal)


def standard_console() -> Console:
    return console_for(sys.stdout, os.environ)
