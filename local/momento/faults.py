"""Faults on demand: calls that fail, are late or are never answered."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from local.momento.errors import CallError

ANY_METHOD = "*"


@dataclass(slots=True)
class Fault:
    """What happens to calls of `method` (such as "Publish", or "*").

    Of the matching calls the share `ratio` is hit, and no more than `calls` of them in all. A hit call waits
    `delay_ms`, then fails with `status` (or with `http_status` on the gRPC-web front), or is never answered, or, with
    none of these, goes on. With `after_effect` the call takes effect first and only its answer is lost.
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

    def hit(self, method: str, *, after_effect: bool) -> bool:
        """Whether this call is hit; if so, it is counted."""
        if self.after_effect is not after_effect or self.method not in (ANY_METHOD, method):
            return False
        if (self.calls is not None and self.hits >= self.calls) or random.random() >= self.ratio:
            return False
        self.hits += 1
        return True

    async def strike(self) -> None:
        """Raises the `CallError` that the hit call fails with."""
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        if self.never_answer:
            # Until the client's deadline, its going away, or the end of the emulator cancels the call.
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
    """The faults in force; a call meets each of them in order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    async def strike(self, method: str, *, after_effect: bool = False) -> None:
        """Raises the `CallError` of the first fault that fails the call."""
        for fault in self._faults:
            if fault.hit(method, after_effect=after_effect):
                await fault.strike()

    def replace(self, faults: list[Fault]) -> None:
        self._faults = faults

    def as_json(self) -> list[dict[str, Any]]:
        return [fault.as_json() for fault in self._faults]
