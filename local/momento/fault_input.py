"""Faults from their JSON form, with every problem named."""

from collections.abc import Mapping
from typing import Any

from grpc import StatusCode

from local.momento.faults import ANY_METHOD, Fault
from local.momento.settings import InvalidSettingsError

MAX_FAULTS = 100
MAX_DELAY_MS = 600_000


def parse_faults(value: object, methods: frozenset[str]) -> list[Fault]:
    """Faults from their JSON form; raises `InvalidSettingsError` naming every problem."""
    if not isinstance(value, list) or len(value) > MAX_FAULTS:
        raise InvalidSettingsError([f"faults: must be a list of at most {MAX_FAULTS}"])
    problems = [
        f"faults[{index}].{problem}" for index, each in enumerate(value) for problem in _problems(each, methods)
    ]
    if problems:
        raise InvalidSettingsError(problems)
    return [_fault(each) for each in value]


def _problems(value: object, methods: frozenset[str]) -> list[str]:
    if not isinstance(value, dict):
        return ["must be an object"]
    unknown = [f"{key}: no such field" for key in value if key not in _CHECKS]
    return unknown + [
        f"{key}: {wish}" for key, (check, wish) in _CHECKS.items() if key in value and not check(value[key], methods)
    ]


def _is_number(value: object, low: float, high: float, kind: type = float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        return False
    return low <= value <= high


def _is_text(value: object) -> bool:
    # Goes out as a header or trailer, so nothing that could end one.
    return isinstance(value, str) and value.isprintable() and value.isascii() and len(value) <= 1000


_STATUSES = {each.name for each in StatusCode if each is not StatusCode.OK}
_CHECKS: Mapping[str, Any] = {
    "method": (
        lambda value, methods: isinstance(value, str) and value in {ANY_METHOD, *methods},
        'must be a method, or "*"',
    ),
    "status": (
        lambda value, _: value is None or (isinstance(value, str) and value in _STATUSES),
        "must be a gRPC status other than OK",
    ),
    "message": (lambda value, _: _is_text(value), "must be at most 1000 printable ASCII characters"),
    "err": (lambda value, _: value is None or _is_text(value), "must be printable ASCII, or null"),
    "httpStatus": (lambda value, _: value is None or _is_number(value, 400, 599, int), "must be 400 to 599, or null"),
    "calls": (lambda value, _: value is None or _is_number(value, 0, 1e9, int), "must be a whole number, or null"),
    "ratio": (lambda value, _: _is_number(value, 0, 1), "must be between 0 and 1"),
    "delayMs": (lambda value, _: _is_number(value, 0, MAX_DELAY_MS), f"must be between 0 and {MAX_DELAY_MS}"),
    "neverAnswer": (lambda value, _: isinstance(value, bool), "must be true or false"),
    "afterEffect": (lambda value, _: isinstance(value, bool), "must be true or false"),
    "hits": (lambda _value, _: True, "is read only, and left alone"),
}


def _fault(value: Mapping[str, Any]) -> Fault:
    status = value.get("status")
    return Fault(
        method=value.get("method", ANY_METHOD),
        status=None if status is None else StatusCode[status],
        message=value.get("message", "Injected fault"),
        err=value.get("err"),
        http_status=value.get("httpStatus"),
        calls=value.get("calls"),
        ratio=value.get("ratio", 1.0),
        delay_ms=value.get("delayMs", 0.0),
        never_answer=value.get("neverAnswer", False),
        after_effect=value.get("afterEffect", False),
    )
