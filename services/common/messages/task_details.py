"""What a notification or a status says of a task beside its outcome: type, title, attempts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from notification_api.task import DEFAULT_TYPE

MAX_INPUT_BYTES = 512
"""A task's data up to this size, as JSON, is in its notifications, so that a client can repeat the task."""
MAX_TITLE_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDetails:
    """Details of a task; None is unknown."""

    type: str = DEFAULT_TYPE
    input: Any = None
    """The task's data, JSON, if it is short."""
    title: str | None = None
    """The start of the task's data, if it is long."""
    attempt: int | None = None
    max_attempts: int | None = None
    started_at_ms: int | None = None
    """When the attempt started; epoch milliseconds."""

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the details in a parsed JSON form."""
        return cls(
            type=optional(fields, "type", str) or DEFAULT_TYPE,
            input=fields.get("input"),
            title=optional(fields, "title", str),
            attempt=optional(fields, "attempt", int),
            max_attempts=optional(fields, "maxAttempts", int),
            started_at_ms=optional(fields, "startedAt", int),
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON form."""
        fields = {
            "type": None if self.type == DEFAULT_TYPE else self.type,
            "input": self.input,
            "title": self.title,
            "attempt": self.attempt,
            "maxAttempts": self.max_attempts,
            "startedAt": self.started_at_ms,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def title_text(self) -> str:
        """The start of the task's data as text."""
        return self.title if self.title is not None else _title(self.input)


NO_DETAILS = TaskDetails()


def input_or_title(data: Any) -> tuple[Any, str | None]:
    """Return a task's data and None if it is short, else None and its start."""
    if isinstance(data, str) and len(data) > MAX_INPUT_BYTES:
        return None, _title(data)
    try:
        if len(orjson.dumps(data)) <= MAX_INPUT_BYTES:
            return data, None
    except TypeError:  # a lone surrogate or an integer of more than 64 bits, which other producers may send
        pass
    return None, _title(data)


def optional(fields: Mapping[str, Any], name: str, *types: type) -> Any:
    """Return a field, or None if it is missing or of another type."""
    value = fields.get(name)
    return value if type(value) in types else None


def _title(data: Any) -> str:
    text = "" if data is None else data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return text[:MAX_TITLE_CHARACTERS].encode("utf-8", "replace").decode()
