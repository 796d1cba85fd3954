"""The log lines of this process, formatted when they are logged, with the ids that they have then."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.common.telemetry.logs import _ContextFormatter


class TaskLines(logging.Handler):
    """Collects what the services log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_ContextFormatter(("levelname", "message"), rename_fields={"levelname": "level"}))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The lines with this task id."""
        lines = [json.loads(text) for text in self.texts]
        return [line for line in lines if line.get("taskId") == task_id]

    def ends(self, task_id: str) -> list[dict[str, Any]]:
        """Of these, the lines that report the end of a delivery."""
        return [line for line in self.of(task_id) if "outcome" in line]


@contextmanager
def task_lines() -> Iterator[TaskLines]:
    lines, log = TaskLines(), logging.getLogger("services")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(lines)
    try:
        yield lines
    finally:
        log.removeHandler(lines)
        log.setLevel(level)
