"""Checks what handlers return, so that every result can be stored and published."""

import enum
import math
from collections.abc import Iterator
from typing import Any, cast

import orjson

from notification_api import Result
from notification_api.json_rules import MAX_RESULT_BYTES
from services.common.error_text import type_name
from services.processor.handlers.errors import InvalidResultError, ResultTooLargeError

_MOST_BYTES_A_CHARACTER = 6
"""In JSON: `\\u0000`."""
_ENVELOPE_BYTES = 64
"""More than the JSON of an empty result has."""
_FREE_LEVELS = 3
"""Levels of JSON that may be put around a result when it is stored and published; orjson writes 254 in all."""

TOO_LARGE = (
    f"the result is larger than {MAX_RESULT_BYTES // 1024} KiB as JSON:"
    " store it elsewhere, for example in S3, and return its URL"
)


def checked_result(value: object) -> Result:
    """Return the result of a handler: text, or a `Result`. Its data is a copy, of plain JSON types only.

    :raises InvalidResultError, ResultTooLargeError: when it cannot be stored.
    """
    # By their types, because an object can pretend to be of another class.
    if issubclass(type(value), Result):
        result = cast("Result", value)
        message, data = _plain_text(result.message, "the message of the handler's result is"), result.data
    else:
        message, data = _plain_text(value, "the handler returned"), None
    if data is None and len(message) * _MOST_BYTES_A_CHARACTER + _ENVELOPE_BYTES <= MAX_RESULT_BYTES:
        return Result(message)  # most results
    encoded = _encode(message, data)
    if len(encoded) - 2 * _FREE_LEVELS > MAX_RESULT_BYTES:
        raise ResultTooLargeError(TOO_LARGE, public=TOO_LARGE)
    copy = orjson.loads(encoded[_FREE_LEVELS:-_FREE_LEVELS])["data"]  # the handler may change the original
    # Floats that are not numbers are written as null. The comparison is ten times as fast as checking each value.
    if b"null" in encoded and copy != data and not all(math.isfinite(number) for number in _floats(data)):
        raise InvalidResultError("the data of the handler's result is not JSON: it has NaN or an infinite number")
    return Result(message, copy)


def _plain_text(value: object, what: str) -> str:
    if not issubclass(type(value), str):
        raise InvalidResultError(f"{what} {type_name(value)}, not text")
    # A plain string, without the methods of the handler's own class.
    text = str.__getitem__(cast("str", value), slice(MAX_RESULT_BYTES + 1))
    if text.isascii():
        return text
    return text.encode(errors="replace").decode()  # UTF-8 has no lone surrogates


def _encode(message: str, data: Any) -> bytes:
    value: Any = {"message": message, "data": data}
    for _ in range(_FREE_LEVELS):
        value = [value]
    try:
        return orjson.dumps(
            value,
            option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME,
        )
    except orjson.JSONEncodeError as error:
        raise InvalidResultError(f"the data of the handler's result is not JSON: {error}") from error


def _floats(data: Any) -> Iterator[float]:
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float):
            yield each
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)
        elif isinstance(each, enum.Enum):
            waiting.append(each.value)
