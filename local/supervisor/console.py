"""The supervisor's output: one prefix a process, coloured on a terminal."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

from local.supervisor.log_format import readable

COLOURS = (36, 35, 34, 32, 33, 96, 95, 94, 92, 93)
"""ANSI foreground colours that are legible on dark and light; red is left for what went wrong."""
RED = 31
WIDTH = len("bootstrap")


class Console:
    """Writes whole lines, each under the name of the process that said it."""

    def __init__(self, stream: TextIO, *, colour: bool, for_people: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._for_people = for_people
        self._colours: dict[str, int] = {}
        self.gone = False
        """Nobody reads the output any more; the rest is dropped."""
        self.on_gone: Callable[[], object] = _do_nothing

    def line(self, name: str, text: str) -> None:
        """One line that the process `name` said; a JSON log line is made readable where a person reads it."""
        code = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        for part in (readable(text) if self._for_people else text).split("\n"):
            self._write(f"{self._paint(f'{name:<{WIDTH}} |', code)} {part}")

    def say(self, text: str = "") -> None:
        """The supervisor's own words."""
        self._write(text)

    def complain(self, text: str) -> None:
        """The supervisor's own words about what went wrong."""
        self._write(self._paint(text, RED))

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        if self.gone:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError:
            # A closed terminal or pipe must not keep the supervisor from stopping its children in order.
            self.gone = True
            self.on_gone()


def _do_nothing() -> None:
    """Until somebody wants to know that the output is gone."""


def console_for(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """Colour only where a person looks at it and wants it (no-color.org)."""
    for_people = stream.isatty()
    colour = for_people and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Console(stream, colour=colour, for_people=for_people)


def standard_console() -> Console:
    return console_for(sys.stdout, os.environ)
