"""What a handler gets: the task, its limits, and a way to tell of progress."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


async def _nobody(_text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One delivery of a task."""

    id: str
    user_id: str
    """The verified `sub` of the user who sent it."""
    data: str
    fields: Mapping[str, Any]
    """The whole request body, `data` included."""
    attempt: int
    """1 at first, one more after each that failed (docs/handlers.md); from MAX_ATTEMPTS on a failure is the last."""
    deadline: float
    """When the handler's time is up, epoch seconds."""
    tell: Callable[[str], Awaitable[bool]] = field(default=_nobody, repr=False)
    _cancellations: list[None] = field(default_factory=list, repr=False)
    """Not empty once the result is not wanted. Threads may look at any time; an event would cost every task a lock."""

    _seen: list[None] = field(default_factory=list, repr=False)
    """Not empty once the handler was answered that it is cancelled."""

    @property
    def cancelled(self) -> bool:
        """Whether the result is not wanted any more; a plain function that runs long should look now and then."""
        if self._cancellations and not self._seen:
            self._seen.append(None)
        return bool(self._cancellations)

    @property
    def saw_cancellation(self) -> bool:
        """Whether the handler knows that it is cancelled, so that what it returns may be a part only."""
        return bool(self._seen)

    def cancel(self) -> None:
        """Say that the result is not wanted any more."""
        self._cancellations.append(None)

    async def progress(self, text: str) -> bool:
        """Tell the user how it is going; answers False when it was left out.

        It is left out for the topic quota's sake, and once the result is not wanted any more.
        """
        return not self._cancellations and await self.tell(text)
