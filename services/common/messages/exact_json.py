"""Parses JSON without changing numbers.

orjson is fast and strict, but converts integers beyond 64 bits to floats. A cheap check finds the documents in which
this may have happened; only those are parsed again, with the standard library.
"""

import json
import math
import re
from typing import Any, NoReturn

import orjson

_MAX_DIGITS = 4_300
"""CPython's default limit, since the time grows with the square of the digits."""
_SHOWN_CHARACTERS = 40
_MAX_LEVELS = 500
"""Of a document that the standard library parses. Its own limit depends on the Python version."""
# Only a float, or a container with one, can have been an integer; these types cannot.
_EXACT_TYPES = frozenset({str, int, bool, type(None)})
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
# An integer beyond 64 bits has at least 19 digits. `translate` and `in` are ten times as fast as a regular expression.
_DIGITS_ALONE = bytes(ord("0") if character in b"0123456789" else ord(" ") for character in range(256))
_LONG_RUN = b"0" * 19
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class NumberNotExactError(ValueError):
    """A number cannot be represented exactly. `number` is its text, shortened.

    The message does not contain it, so that no part of a payload is logged.
    """

    def __init__(self, number: str) -> None:
        is_long = len(number) > _SHOWN_CHARACTERS
        self.number = f"{number[:_SHOWN_CHARACTERS]}…" if is_long else number
        super().__init__("it contains a number that cannot be represented")


class NestedTooDeeplyError(ValueError):
    """The document has too many levels."""

    def __init__(self) -> None:
        super().__init__("it is nested too deeply")


def loads_64_bit(raw: bytes) -> Any:
    """Parse like orjson, but refuse integers beyond 64 bits and numbers beyond the range of floats.

    :raises NumberNotExactError, NestedTooDeeplyError:
    :raises orjson.JSONDecodeError: when the text is not JSON.
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
    """Parse like orjson, but keep integers of up to 4,300 digits.

    :raises ValueError: when the text is not JSON, or has a number that cannot be represented.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _with_an_integer_beyond_floats(error, text)
    return _parse(text, _exact_integer) if _may_be_inexact(value, text.encode()) else value


def has_more_levels(value: Any, max_levels: int) -> bool:
    """Return whether a parsed document is nested more than `max_levels` deep."""
    level = [value]
    for _ in range(max_levels + 1):
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
    """Raise if orjson stopped at a number that is too large for a float."""
    number = _NUMBER.match(error.doc, error.pos)
    if number and math.isinf(float(number[0])):
        raise NumberNotExactError(number[0]) from None


def _with_an_integer_beyond_floats(error: orjson.JSONDecodeError, text: str) -> Any:
    """Parse a document that orjson refuses because of an integer beyond the range of floats."""
    number = _NUMBER.match(error.doc, error.pos)
    if not number or not number[0].lstrip("-").isdigit() or not math.isinf(float(number[0])):
        raise error
    value = _parse(text, _exact_integer)
    # orjson has not checked the rest. It refuses lone surrogates, which the standard library accepts.
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
