"""The task that a handler receives."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_TYPE = "default"
"""The type of a task whose body names none."""
PROGRESS_SECONDS = 2.0
"""How long a thread waits at most until its progress is published."""


async def _discard(_text: str, _percent: float | None) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One delivery of a task."""

    id: str
    user_id: str
    """The verified `sub` of the user who submitted it."""
    type: str = DEFAULT_TYPE
    """The task type that the request named."""
    data: Any
    """`data` of the request body: text or any other JSON value, but not null. The user wrote it: validate it."""
    fields: Mapping[str, Any]
    """The whole request body, `data` included."""
    attempt: int
    """Starts at 1 and counts handler failures; from `max_attempts` on, a failure is final."""
    max_attempts: int = 5
    deadline: float
    """When the handler's time limit ends, in epoch seconds."""
    publish_progress: Callable[[str, float | None], Awaitable[bool]] = field(default=_discard, repr=False)
    _cancellations: list[None] = field(default_factory=list, repr=False)
    """Not empty once the task is cancelled. Threads read it at any time; an event would cost every task a lock."""

    _seen: list[None] = field(default_factory=list, repr=False)
    """Not empty once the handler has read that the task is cancelled."""

    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    """Where progress is published from a thread."""

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed. A plain function that runs long should check this regularly."""
        if self._cancellations and not self._seen:
            self._seen.append(None)
        return bool(self._cancellations)

    @property
    def saw_cancellation(self) -> bool:
        """Whether the handler has read `cancelled` as True, so that its result may be incomplete."""
        return bool(self._seen)

    def cancel(self) -> None:
        """Mark the task as cancelled."""
        self._cancellations.append(None)

    def bind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let threads publish progress in this event loop."""
        object.__setattr__(self, "_loop", loop)  # the class is frozen; a copy would take as long as a short handler

    async def progress(self, text: str, percent: float | None = None) -> bool:
        """Publish a progress notification to the user.

        :param percent: how much is done; values outside of 0 to 100 are changed to the nearer of the two.
        :return: False when it was not published: because of the rate limit, or because the task is cancelled.
        """
        if self._cancellations:
            return False
        return await self.publish_progress(text, None if percent is None else _bounded(percent))

    def progress_from_thread(self, text: str, percent: float | None = None) -> bool:
        """Do what `progress` does, for a plain function. Waits for the event loop, two seconds at most.

        :return: False when it was not published, also because the event loop is busy or has ended.
        :raises RuntimeError: in an `async def`, which has to await `progress` instead.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("progress_from_thread would block the event loop: use `await task.progress(...)`")
        if self._loop is None or self._loop.is_closed() or self._cancellations:
            return False
        publication = self.progress(text, percent)
        try:
            published = asyncio.run_coroutine_threadsafe(publication, self._loop)
        except RuntimeError:  # the loop was closed meanwhile
            publication.close()
            return False
        try:
            return published.result(PROGRESS_SECONDS)
        except (TimeoutError, concurrent.futures.CancelledError):
            published.cancel()
            return False


def _bounded(percent: float) -> float:
    number = percent if type(percent) in {int, float} else float(percent)
    return min(100, max(0, number))
