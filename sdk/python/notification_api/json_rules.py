"""What a result may contain, by the rules of the processor, for tests. The processor has a faster check of its own."""

import enum
import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

from notification_api.result import Result

MAX_RESULT_BYTES = 512 * 1024
"""Of message and data together, as JSON."""
MAX_LEVELS = 250
MAX_PATH = 100


class NotJsonError(ValueError):
    """A value is not JSON; the message says where and why."""


class TooLargeError(ValueError):
    """A result has more bytes than can be stored."""


def as_stored(result: Result) -> Result:
    """Return the result as it is stored: with plain JSON types only.

    :raises NotJsonError, TooLargeError: when it cannot be stored.
    """
    _check(result.data)
    message = result.message.encode(errors="replace").decode()
    fields = {"message": message, "data": result.data}
    encoded = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_plain)
    if len(encoded.encode()) > MAX_RESULT_BYTES:
        raise TooLargeError(
            f"the result is larger than {MAX_RESULT_BYTES // 1024} KiB as JSON: store it elsewhere and return its URL"
        )
    return Result(message, json.loads(encoded)["data"])


def _check(data: Any) -> None:
    waiting: list[tuple[str, Any, int]] = [("data", data, 0)]
    while waiting:
        path, value, level = waiting.pop()
        problem = _problem(value)
        if problem is None and _is_container(value) and level == MAX_LEVELS:
            problem = f"is nested in more than {MAX_LEVELS} levels"
        if problem is not None:
            raise NotJsonError(f"{path} {problem}")
        waiting.extend((f"{path}[{name!r}]"[:MAX_PATH], each, level + 1) for name, each in _items(value))


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list) or type(value) is tuple


def _items(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif _is_container(value):
        yield from enumerate(value)


def _problem(value: Any) -> str | None:
    if value is None or isinstance(value, bool | uuid.UUID):
        return None
    if isinstance(value, enum.Enum):
        return _problem(value.value)
    if _is_container(value):
        return _problem_of_keys(value) if isinstance(value, dict) else None
    if isinstance(value, str):
        return _problem_of_text(value)
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**64 else "is an integer beyond 64 bits: return it as text"
    if type(value) is float:
        return None if math.isfinite(value) else f"is {value}, which JSON does not have"
    return f"is of the type {type(value).__name__}: return text or another JSON type instead"


def _problem_of_keys(value: dict[Any, Any]) -> str | None:
    for key in value:
        if type(key) is not str:
            return f"has the key {key!r}, which is not text"
        if _problem_of_text(key):
            return f"has a key that {_problem_of_text(key)}"
    return None


def _problem_of_text(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which UTF-8 does not have"
    return None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else str(value)
