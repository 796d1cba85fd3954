"""Output of the command: results on standard output, progress on standard error."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import orjson

from services.processor.dead_letters.reader import DeadLetter

_COLUMNS = ("messageId", "taskId", "type", "reason", "receiveCount", "deadLetteredAt", "detail")
_WIDEST_DETAIL = 60
_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.1
_BAR_WIDTH = 30


def reasons(dead_letters: Iterable[DeadLetter]) -> dict[str, int]:
    """Count dead letters by reason, the most frequent first."""
    return dict(Counter(dead_letter.reason for dead_letter in dead_letters).most_common())


def table(dead_letters: Sequence[DeadLetter]) -> str:
    """Return one line per dead letter, and the counts by reason below."""
    rows = [_COLUMNS, *(_row(dead_letter) for dead_letter in dead_letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *(f"{count:>6}  {reason}" for reason, count in reasons(dead_letters).items())])


def text_of(dead_letter: DeadLetter) -> str:
    """Return all fields of a dead letter, the body last."""
    fields = {**dead_letter.details()}
    body, attributes = fields.pop("body"), fields.pop("attributes")
    named = [*fields.items(), *((f"attribute {name}", value) for name, value in sorted(attributes.items()))]
    return "\n".join([*(f"{name}: {_plain(value)}" for name, value in named), "body:", body])


def print_json(value: Any) -> None:
    """Print one JSON object on a line of its own."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


class Progress:
    """Shows progress: a bar on a terminal, else a line every few seconds.

    :param total: the approximate number of messages.
    :param verb: a prefix for the count.
    """

    def __init__(
        self, total: int, stream: TextIO, verb: str = "", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._verb = verb
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._printed_at = clock() if not self._is_terminal else float("-inf")
        self._has_printed = False

    def __call__(self, done: int) -> None:
        """Print that `done` messages are done, unless something was printed just before."""
        interval = _BAR_SECONDS if self._is_terminal else _LINE_SECONDS
        if self._clock() - self._printed_at < interval:
            return
        self._printed_at = self._clock()
        self._has_printed = True
        self._stream.write(self._bar(done) if self._is_terminal else f"{self._count(done)}\n")
        self._stream.flush()

    def end(self) -> None:
        """End the line of the bar."""
        if self._is_terminal and self._has_printed:
            self._stream.write("\n")

    def _bar(self, done: int) -> str:
        filled = _BAR_WIDTH * min(done, self._total) // max(1, self._total)
        return f"\r[{'#' * filled:<{_BAR_WIDTH}}] {self._count(done)}"

    def _count(self, done: int) -> str:
        return f"{self._verb}{done} of about {self._total}"


def _row(dead_letter: DeadLetter) -> tuple[str, ...]:
    return tuple(_plain(dead_letter.summary()[column])[:_WIDEST_DETAIL] for column in _COLUMNS)


def _plain(value: object) -> str:
    """Return a value without control characters, which the sender of a message could use on the terminal."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
