"""Injected faults: calls that fail, are late or are never answered."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from local.momento.errors import CallError
from local.momento.settings import InvalidSettingsError

ANY_METHOD = "*"


@dataclass(slots=True)
class Fault:
    """What is injected into calls of `method` (such as "Publish", or "*" for all).

    It applies to the share `ratio` of these calls, and to at most `calls` of them. The call waits for `delay_ms`, then
    fails with `status` (or with `http_status` on the gRPC-web front), or is never answered, or, with none of these,
    continues. With `after_effect` the call takes effect first and only its response is lost.
    """

    method: str = ANY_METHOD
    status: StatusCode | None = None
    message: str = "Injected fault"
    err: str | None = None
    http_status: int | None = None
    calls: int | None = None
    ratio: float = 1.0
    delay_ms: float = 0.0
    never_answer: bool = False
    after_effect: bool = False
    hits: int = field(default=0, init=False)

    def matches(self, method: str, *, after_effect: bool) -> bool:
        """Decide whether the fault applies to this call, and count it if so."""
        if self.after_effect is not after_effect or self.method not in (ANY_METHOD, method):
            return False
        if (self.calls is not None and self.hits >= self.calls) or random.random() >= self.ratio:
            return False
        self.hits += 1
        return True

    async def apply(self) -> None:
        """Delay the call, never answer it, or raise its `CallError`."""
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        if self.never_answer:
            # The client's deadline, its disconnect or the end of the emulator cancels the call.
            await asyncio.get_running_loop().create_future()
        if self.status is not None or self.http_status is not None:
            raise CallError(self.status or StatusCode.UNAVAILABLE, self.message, self.err, self.http_status)

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "status": self.status and self.status.name,
            "message": self.message,
            "err": self.err,
            "httpStatus": self.http_status,
            "calls": self.calls,
            "ratio": self.ratio,
            "delayMs": self.delay_ms,
            "neverAnswer": self.never_answer,
            "afterEffect": self.after_effect,
            "hits": self.hits,
        }


class Faults:
    """The active faults. Those that match a call are applied in order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    async def apply(self, method: str, *, after_effect: bool = False) -> None:
        """Apply the faults to a call; raises the `CallError` of the first one that fails it."""
        for fault in self._faults:
            if fault.matches(method, after_effect=after_effect):
                await fault.apply()

    def replace(self, faults: list[Fault]) -> None:
        self._faults = faults

    def as_json(self) -> list[dict[str, Any]]:
        return [fault.as_json() for fault in self._faults]


MAX_FAULTS = 100
MAX_DELAY_MS = 600_000


def parse_faults(value: object, methods: frozenset[str]) -> list[Fault]:
    """Read faults from their JSON form; raises `InvalidSettingsError` with every problem."""
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
        f"{key}: {problem}"
        for key, (check, problem) in _CHECKS.items()
        if key in value and not check(value[key], methods)
    ]


def _is_number(value: object, low: float, high: float, kind: type = float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        return False
    return low <= value <= high


def _is_text(value: object) -> bool:
    # It is sent as a header or trailer, so it must not contain a line break.
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
    "hits": (lambda _value, _: True, "is read only and ignored"),
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
