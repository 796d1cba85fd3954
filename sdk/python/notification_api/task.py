"""The task that a handler receives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


async def _discard(_text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One delivery of a task."""

    id: str
    user_id: str
    """The verified `sub` of the user who submitted it."""
    data: str
    fields: Mapping[str, Any]
    """The whole request body, `data` included."""
    attempt: int
    """Starts at 1 and counts handler failures; from `MAX_ATTEMPTS` on, a failure is final (docs/handlers.md)."""
    deadline: float
    """When the handler's time limit ends, in epoch seconds."""
    publish_progress: Callable[[str], Awaitable[bool]] = field(default=_discard, repr=False)
    _cancellations: list[None] = field(default_factory=list, repr=False)
    """Not empty once the task is cancelled. Threads read it at any time; an event would cost every task a lock."""

    _seen: list[None] = field(default_factory=list, repr=False)
    """Not empty once the handler has read that the task is cancelled."""

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

    async def progress(self, text: str) -> bool:
        """Publish a progress notification to the user.

        :return: False when it was not published: because of the rate limit, or because the task is cancelled.
        """
        return not self._cancellations and await self.publish_progress(text)
