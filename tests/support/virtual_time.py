"""An event loop whose time jumps to the next timer: hours of waiting take milliseconds."""

import asyncio
import heapq
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from services.processor.cache_guard import CacheGuard
from services.processor.delivery.conclude import ConcludedMessages
from services.processor.notify.pending import PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.receiver.lease_keeper import LeaseKeeper

R = TypeVar("R")

EPOCH = 1_800_000_000.0


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():  # the base class would wait for the next one in real time
            heapq.heappop(scheduled)._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def run_in_virtual_time(work: Coroutine[Any, Any, R]) -> R:
    """Run `work` with the processor's clocks set to the time of the loop.

    Nothing in it may wait for a socket or a thread.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner, _clocks(runner.get_loop()):
        return runner.run(work)


@contextmanager
def _clocks(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """`time.monotonic` is also a default argument, bound when the function was defined."""
    keywords = [init.__kwdefaults__ for init in (LeaseKeeper.__init__, ResilientHistory.__init__, CacheGuard.__init__)]
    with (
        patch.object(time, "monotonic", loop.time),
        patch.object(time, "time", lambda: EPOCH + loop.time()),
        patch.object(PendingNotifications.__init__, "__defaults__", (loop.time,)),
        patch.object(ConcludedMessages.__init__, "__defaults__", (loop.time,)),
        ExitStack() as patched,
    ):
        for defaults in keywords:
            patched.enter_context(patch.dict(defaults, clock=loop.time))
        yield
