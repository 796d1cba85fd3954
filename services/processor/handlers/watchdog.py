"""The watchdog: a thread that logs the stack when a handler blocks the event loop."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from services.processor.metrics import LOOP_BLOCKED

logger = logging.getLogger(__name__)

BLOCKED_SECONDS = 2.0
"""Well below the time after which leases expire, and below the timeout of the liveness probe."""


class _Beat:
    def __init__(self, interval_seconds: float) -> None:
        self.at = time.monotonic()
        self._interval_seconds = interval_seconds
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self.at = time.monotonic()
        self._handle = asyncio.get_running_loop().call_later(self._interval_seconds, self.start)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


@contextmanager
def watched_loop(blocked_seconds: float = BLOCKED_SECONDS) -> Iterator[None]:
    """Watch the running loop for the length of the block."""
    beat = _Beat(blocked_seconds / 4)
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(beat, threading.get_ident(), ended, blocked_seconds), name="watchdog", daemon=True
    )
    beat.start()
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        beat.stop()
        watcher.join(timeout=blocked_seconds)


def _watch(beat: _Beat, loop_thread: int, ended: threading.Event, blocked_seconds: float) -> None:
    logged_at = 0.0
    while not ended.wait(blocked_seconds / 4):
        last = beat.at
        if time.monotonic() - last < blocked_seconds or last == logged_at:
            continue
        logged_at = last  # once for each time that the loop is blocked
        LOOP_BLOCKED.inc()
        frame = sys._current_frames().get(loop_thread)
        stack = "".join(traceback.format_stack(frame)) if frame else "unknown"
        logger.error(
            "the event loop is blocked: a handler must await, or be a plain function",
            extra={"action": "watchdog", "stack": stack},
        )
