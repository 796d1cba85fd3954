"""What a handler gets: the task, its limits, and a way to publish progress."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


async def _drop(_text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt of a task."""

    id: str
    user_id: str
    """The verified `sub` of the user who sent it."""
    data: str
    fields: Mapping[str, Any]
    """The whole request body, `data` included."""
    attempt: int
    """1 at first, one more after each failed attempt (docs/handlers.md); from MAX_ATTEMPTS on a failure is the last."""
    deadline: float
    """When the handler's time limit ends, epoch seconds."""
    publish_progress: Callable[[str], Awaitable[bool]] = field(default=_drop, repr=False)
    _cancellations: list[None] = field(default_factory=list, repr=False)
    """Not empty once the result is not wanted. Threads may read it at any time; an event would cost a lock."""

    _seen: list[None] = field(default_factory=list, repr=False)
    """Not empty once the handler has read that it is cancelled."""

    @property
    def cancelled(self) -> bool:
        """Whether the result is not wanted any more; a plain function that runs long should check now and then."""
        if self._cancellations and not self._seen:
            self._seen.append(None)
        return bool(self._cancellations)

    @property
    def saw_cancellation(self) -> bool:
        """Whether the handler knows that it is cancelled, so that what it returns may be incomplete."""
        return bool(self._seen)

    def cancel(self) -> None:
        """Mark the result as not wanted any more."""
        self._cancellations.append(None)

    async def progress(self, text: str) -> bool:
        """Publish how far the task is; returns False when it was dropped.

        It is dropped to save the topic quota, and once the result is not wanted any more.
        """
        return not self._cancellations and await self.publish_progress(text)
