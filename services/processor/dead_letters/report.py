"""What the dead-letter command prints: results on standard output, progress on standard error."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import orjson

from services.processor.dead_letters.reader import Letter

_COLUMNS = ("messageId", "taskId", "reason", "attempts", "at", "detail")
_WIDEST_DETAIL = 60
_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.1
_BAR_WIDTH = 30


def reasons(letters: Iterable[Letter]) -> dict[str, int]:
    """Count letters by reason, the most frequent first."""
    return dict(Counter(letter.reason for letter in letters).most_common())


def table(letters: Sequence[Letter]) -> str:
    """Write one line a letter, and the counts by reason below."""
    rows = [_COLUMNS, *(_row(letter) for letter in letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *(f"{count:>6}  {reason}" for reason, count in reasons(letters).items())])


def text_of(letter: Letter) -> str:
    """Write everything there is of a letter, the body last."""
    fields = {**letter.everything()}
    body, attributes = fields.pop("body"), fields.pop("attributes")
    named = [*fields.items(), *((f"attribute {name}", value) for name, value in sorted(attributes.items()))]
    return "\n".join([*(f"{name}: {_plain(value)}" for name, value in named), "body:", body])


def print_json(value: Any) -> None:
    """Print one JSON object on a line of its own."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


class Progress:
    """How far it is: a bar on a terminal, a line every few seconds elsewhere.

    :param total: about how many there are; SQS knows no better.
    :param verb: what is done to them, where that has to be said.
    """

    def __init__(
        self, total: int, stream: TextIO, verb: str = "", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._verb = verb
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._told_at = clock() if not self._is_terminal else float("-inf")
        self._told = False

    def __call__(self, done: int) -> None:
        """Tell that `done` are done, unless something was told a moment ago."""
        interval = _BAR_SECONDS if self._is_terminal else _LINE_SECONDS
        if self._clock() - self._told_at < interval:
            return
        self._told_at = self._clock()
        self._told = True
        self._stream.write(self._bar(done) if self._is_terminal else f"{self._count(done)}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._is_terminal and self._told:
            self._stream.write("\n")

    def _bar(self, done: int) -> str:
        filled = _BAR_WIDTH * min(done, self._total) // max(1, self._total)
        return f"\r[{'#' * filled:<{_BAR_WIDTH}}] {self._count(done)}"

    def _count(self, done: int) -> str:
        return f"{self._verb}{done} of about {self._total}"


def _row(letter: Letter) -> tuple[str, ...]:
    return tuple(_plain(letter.summary()[column])[:_WIDEST_DETAIL] for column in _COLUMNS)


def _plain(value: object) -> str:
    """Write a value without control characters: whoever sent the message must not write to this terminal."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
