"""A message's task and its handler's begin in one round of the event loop.

A handler has a task of its own, which can be given up without the message's. Made only when the message's task asks for
it, it would begin a round later, which a busy loop takes a millisecond for, and the slot would be held as much longer.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine

Call = Callable[[], Awaitable[str]]


class Seat:
    """A task that waits for the handler that it is to call."""

    __slots__ = ("_given", "_task", "_wanted")

    def __init__(self) -> None:
        self._given: tuple[Call, contextvars.Context] | None = None
        self._wanted: asyncio.Future[None] | None = None
        self._task: asyncio.Task[str] | None = None

    @property
    def is_free(self) -> bool:
        """Whether the task still waits; whoever cancels all tasks may have ended it."""
        return self._task is not None and not self._task.cancelling()

    def open(self) -> None:
        """Begin the task."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="handler")

    def take(self, call: Call) -> "asyncio.Task[str]":
        """Have `call` called, in a copy of the caller's context; answers the task, the caller's from now on."""
        task, self._task = self._task, None
        assert task is not None  # noqa: S101 — it is free
        self._given = call, contextvars.copy_context()
        if self._wanted is not None:
            self._wanted.set_result(None)
        return task

    def close(self, _: object = None) -> None:
        """End the task, unless it was taken."""
        task, self._task = self._task, None  # kept, it would hold its own frame, and so this, until a collection
        if task is not None:
            task.cancel()

    async def _run(self) -> str:
        if self._given is None:
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        assert self._given is not None  # noqa: S101 — `take` has set it
        (call, context), self._given = self._given, None
        for variable, value in context.items():
            variable.set(value)
        return await call()


_seat: contextvars.ContextVar[Seat | None] = contextvars.ContextVar("seat", default=None)


def spawn_with_seat(work: Coroutine[object, object, None], *, name: str) -> "asyncio.Task[None]":
    """Begin a task for `work`, and one for what it will hand to `call_beside`."""
    seat = Seat()
    token = _seat.set(seat)
    try:
        task = asyncio.get_running_loop().create_task(work, name=name)
    finally:
        _seat.reset(token)
    task.add_done_callback(seat.close)
    seat.open()  # after the task above: tasks begin in this order, so that it finds its call
    return task


def call_beside(call: Call) -> "asyncio.Task[str]":
    """Call in a task of its own: in the one that was begun with the caller's, where there is one."""
    seat = _seat.get()
    if seat is None or not seat.is_free:
        seat = Seat()
        seat.open()
    return seat.take(call)
