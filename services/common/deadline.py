"""A deadline that can be set and cancelled again and again."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `expired` once, when it has been set for as long as was said."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Begin to wait, unless it waits already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def cancel(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._expired()
