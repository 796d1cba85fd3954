"""JSON parsed without a change of value.

orjson is fast and strict, but it turns an integer beyond 64 bits into a float, which is another number. A cheap check
finds the documents in which that could have happened; only those are parsed again, by the standard library.
"""

import json
import math
import re
from typing import Any, NoReturn

import orjson

_MAX_DIGITS = 4_300
"""CPython converts no longer integer by default, since the time grows with the square of the digits."""
_SHOWN_CHARACTERS = 40
_MAX_LEVELS = 500
"""Of a document that the standard library parses. How many that takes differs from Python to Python."""
# orjson has an exact type for each of these; only a float, or a container of one, can have been an integer.
_EXACT_TYPES = frozenset({str, int, bool, type(None)})
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
# An integer beyond 64 bits has at least 19 digits. Translating the text and searching it is ten times as fast as
# a regular expression.
_DIGITS_ALONE = bytes(ord("0") if character in b"0123456789" else ord(" ") for character in range(256))
_LONG_RUN = b"0" * 19
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class NumberNotExactError(ValueError):
    """A number that would become another one; `number` is its text, shortened where it is long.

    The message does not repeat the number, so that no part of a payload gets into a log.
    """

    def __init__(self, number: str) -> None:
        is_long = len(number) > _SHOWN_CHARACTERS
        self.number = f"{number[:_SHOWN_CHARACTERS]}…" if is_long else number
        super().__init__("it contains a number that cannot be represented")


class NestedTooDeeplyError(ValueError):
    """The document has more levels than are parsed."""

    def __init__(self) -> None:
        super().__init__("it is nested too deeply")


def loads_64_bit(raw: bytes) -> Any:
    """Parse as orjson does, and refuse integers beyond 64 bits and numbers that no float holds.

    :raises NumberNotExactError, NestedTooDeeplyError:
    :raises orjson.JSONDecodeError: when it is not JSON.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _refuse_number(error)
        raise
    if _may_be_inexact(value, raw):
        _parse(raw.decode(), _refuse_beyond_64_bits)
    return value


def loads_exact(text: str) -> Any:
    """Parse as orjson does, but with integers of up to 4,300 digits as they are.

    :raises ValueError: when it is not JSON, or holds a number that no float or no such integer holds.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _with_an_integer_beyond_floats(error, text)
    return _parse(text, _exact_integer) if _may_be_inexact(value, text.encode()) else value


def has_more_levels(value: Any, most: int) -> bool:
    """Return whether a parsed document has containers within containers on more than `most` levels."""
    level = [value]
    for _ in range(most + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return False
        level = [item for each in containers for item in (each.values() if isinstance(each, dict) else each)]
    return True


def _may_be_inexact(value: Any, raw: bytes) -> bool:
    if isinstance(value, dict) and _EXACT_TYPES.issuperset(map(type, value.values())):
        return False
    return _LONG_RUN in raw.translate(_DIGITS_ALONE)


def _refuse_number(error: orjson.JSONDecodeError) -> None:
    """Raise for the number that orjson stopped at, if it stopped at one that is too large for a float."""
    number = _NUMBER.match(error.doc, error.pos)
    if number and math.isinf(float(number[0])):
        raise NumberNotExactError(number[0]) from None


def _with_an_integer_beyond_floats(error: orjson.JSONDecodeError, text: str) -> Any:
    """Parse what orjson refuses because of an integer that not even a float holds."""
    number = _NUMBER.match(error.doc, error.pos)
    if not number or not number[0].lstrip("-").isdigit() or not math.isinf(float(number[0])):
        raise error
    value = _parse(text, _exact_integer)
    # orjson has not seen the rest. It refuses lone surrogates, which the standard library accepts.
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _parse(text: str, parse_int: Any) -> Any:
    try:
        value = json.loads(text, parse_int=parse_int, parse_float=_finite_float, parse_constant=_refuse_constant)
    except RecursionError:
        raise NestedTooDeeplyError from None
    if has_more_levels(value, _MAX_LEVELS):
        raise NestedTooDeeplyError
    return value


def _refuse_beyond_64_bits(digits: str) -> int:
    if len(digits) > len(str(_UINT64_MAX)) or not _INT64_MIN <= (value := int(digits)) <= _UINT64_MAX:
        raise NumberNotExactError(digits)
    return value


def _exact_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise NumberNotExactError(digits)
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise NumberNotExactError(digits)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
