"""Numbers in settings: ASCII digits, finite and within bounds.

`int` and `float` accept more: spaces, underscores, exponents, digits of other scripts, `nan` and `inf`. These are
refused here and by the chart (charts/notification-api/templates/_validation.tpl).
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from environs import Env, ValidationError

N = TypeVar("N", int, float)

MOST = 1_000_000_000
"""The default upper bound."""
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?")


@dataclass(frozen=True, slots=True)
class NumberRule:
    """Validates a number: its notation and its bounds. `k8s.chart_files` writes the chart's bounds from these rules."""

    parse: Callable[[str], int] | Callable[[str], float]
    least: float
    most: float
    above_least: bool = False
    """`least` itself is refused."""

    def __call__(self, text: str) -> None:
        """:raises ValidationError: when `text` is no such number."""
        value = self.parse(text)
        if value > self.most or value < self.least or (self.above_least and value == self.least):
            lower = f"{'above' if self.above_least else 'at least'} {self.least:g}"
            raise ValidationError(f"must be {lower} and at most {self.most}, not {text}")


def read_int(env: Env, name: str, default: int, *, least: int, most: int = MOST) -> int:
    """Read a whole number from `least` to `most`; `default` where the variable is not set."""
    text = env.str(name, None, validate=NumberRule(parse_whole, least, most))
    return default if text is None else _or(default, parse_whole, text)


def read_optional_int(env: Env, name: str, *, least: int, most: int) -> int | None:
    """Read a whole number from `least` to `most`; None where the variable is not set."""
    text = env.str(name, None, validate=NumberRule(parse_whole, least, most))
    return None if text is None else _or(least, parse_whole, text)


def read_float(
    env: Env, name: str, default: float, *, least: float = 0.0, most: float = MOST, above_least: bool = False
) -> float:
    """Read a number from `least` to `most`; `default` where the variable is not set.

    :param above_least: whether `least` itself is refused.
    """
    text = env.str(name, None, validate=NumberRule(parse_decimal, least, most, above_least=above_least))
    return default if text is None else _or(default, parse_decimal, text)


def parse_whole(text: str) -> int:
    """Parse a whole number.

    :raises ValidationError: when the text is not one.
    """
    if not _WHOLE.fullmatch(text):
        raise ValidationError(f"must be a whole number such as 20, in digits only{_shown(text)}")
    return int(text)


def parse_decimal(text: str) -> float:
    """Parse a number.

    :raises ValidationError: when the text is not one.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValidationError(f"must be a number such as 2.5{_shown(text)}")
    return float(text) + 0.0  # -0.0 becomes 0.0


def argument(parse: Callable[[str], N], least: float = 0, most: float = MOST) -> Callable[[str], N]:
    """Return a `type` for argparse: a number from `least` to `most`."""

    def parsed(text: str) -> N:
        try:
            NumberRule(parse, least, most)(text)
        except ValidationError as error:
            raise ArgumentTypeError(str(error.args[0])) from None
        return parse(text)

    return parsed


def _or(default: N, parse: Callable[[str], N], text: str) -> N:
    """Return the number, or `default` for an invalid value, which `load` reports and nobody uses."""
    try:
        return parse(text)
    except ValidationError:
        return default


def _shown(text: str) -> str:
    return f", not {text[:40]!r}" if text else ", and must not be empty"
