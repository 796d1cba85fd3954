"""The services' log lines about tasks, from the files that the supervisor writes.

`<folder>/<program>.log` has the newest lines of a program as it wrote them, `<program>.log.1` those before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

PROGRAMS = ("ingest", "token", "processor")
MAX_BYTES = 2_000_000
"""The newest bytes of each program that are read."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A JSON log line of a service that names a task."""

    program: str
    time: datetime
    fields: Mapping[str, Any]

    @property
    def task_id(self) -> str:
        return str(self.fields["taskId"])

    @property
    def level(self) -> str:
        return str(self.fields.get("level", ""))

    @property
    def message(self) -> str:
        return str(self.fields.get("message", ""))


def read_task_lines(folder: Path) -> list[LogLine]:
    """Return the lines of all programs that name a task, the oldest first."""
    lines = [line for program in PROGRAMS for line in _lines_of(folder, program)]
    return sorted(lines, key=lambda line: line.time)


def _lines_of(folder: Path, program: str) -> Iterator[LogLine]:
    for text in _newest(folder / f"{program}.log").splitlines():
        if b'"taskId"' in text and (line := _parse(program, text)):
            yield line


def _newest(path: Path) -> bytes:
    """Return the newest bytes, of the file before as well if this one is small. The first line may be incomplete."""
    current = _tail(path, MAX_BYTES)
    return _tail(path.with_name(f"{path.name}.1"), MAX_BYTES - len(current)) + current


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - size))
            return file.read(size)
    except FileNotFoundError:
        return b""


def _parse(program: str, text: bytes) -> LogLine | None:
    """Return None for a line that is no JSON log line, such as one of a handler's `print`."""
    try:
        fields = orjson.loads(text)
        time = datetime.fromisoformat(fields["time"])
    except (ValueError, KeyError, TypeError):
        return None
    if time.tzinfo is None or not isinstance(fields.get("taskId"), str):
        return None
    return LogLine(program, time, fields)
