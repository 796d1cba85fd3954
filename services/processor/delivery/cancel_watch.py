"""Watches the cancel requests of the stage, so that running tasks are cancelled and queued ones are not started.

One read of one dictionary about once a second serves all tasks of a replica.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from notification_api import PermanentError, TransientError
from services.common.momento.cancel_requests import RETENTION_SECONDS, CancelRequests, TaskKey
from services.common.momento.history import NotificationHistory
from services.processor.metrics import CANCEL_POLLS

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Between two reads. A running task is cancelled within this time, and that of a call."""
MAX_POLL_SECONDS = 30.0
"""The same while there are very many requests: a read costs an operation for each two of them."""
REQUESTS_PER_SECOND = 10.0
"""Requests that a replica reads per second, for 5 of the 100 cache operations that Momento permits by default."""
ENDED_SECONDS = 3_600.0
"""How long after the end of a task its request is removed although this replica has not concluded it. A message whose
deletion has failed must still find the request if the history cannot be read when it is delivered again."""
CALL_SECONDS = 1.0
CLOSE_SECONDS = 1.0
"""How long the last poll may take, at the end of a drain."""
MAX_REMOVALS = 100
"""Requests that one poll removes."""
MAX_CONCLUDED = 20_000
"""Concluded tasks that are remembered until the next poll."""


class CancelWatch:
    """Knows which tasks are to be cancelled, as of the last poll.

    :param history: None if the history is switched off; nothing is cancelled then.
    :param is_active: whether the replica has tasks or receives some; otherwise it does not poll.
    """

    def __init__(self, history: NotificationHistory | None, is_active: Callable[[], bool]) -> None:
        self._history = history
        self._requests = None if history is None else CancelRequests(history.momento)
        self._is_active = is_active
        self._known: dict[TaskKey, int] = {}
        """The time of each request; epoch milliseconds."""
        self._watched: dict[TaskKey, list[asyncio.Future[None]]] = {}
        self._concluded: set[TaskKey] = set()

    def is_requested(self, task: TaskKey) -> bool:
        """Return whether the user wants the task to be cancelled."""
        return task in self._known

    def forget_older(self, task: TaskKey, time_ms: int) -> None:
        """Ignore the request for a task if it is older than `time_ms`, and remove it."""
        if self._known.get(task, time_ms) < time_ms:
            del self._known[task]
            self.note_concluded(task)

    @contextmanager
    def watching(self, task: TaskKey) -> Iterator[asyncio.Future[None]]:
        """Yield a future that is done once the task is to be cancelled."""
        requested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watching = self._watched.setdefault(task, [])
        watching.append(requested)
        if task in self._known:
            requested.set_result(None)
        try:
            yield requested
        finally:
            watching.remove(requested)
            if not watching and self._watched.get(task) is watching:
                del self._watched[task]

    def note_concluded(self, task: TaskKey) -> None:
        """Note that the task has a final state, so that a request for it is removed."""
        if self._requests is not None and len(self._concluded) < MAX_CONCLUDED:
            self._concluded.add(task)

    async def run(self) -> None:
        """Poll until cancelled."""
        if self._requests is None:
            await asyncio.Event().wait()
            return
        await self._poll(self._requests)
        while True:
            await asyncio.sleep(self._pause_seconds())
            if self._is_active():
                await self._poll(self._requests)

    def _pause_seconds(self) -> float:
        return min(MAX_POLL_SECONDS, max(POLL_SECONDS, len(self._known) / REQUESTS_PER_SECOND))

    async def close(self) -> None:
        """Remove the requests of the tasks that have ended since the last poll, within `CLOSE_SECONDS`."""
        if self._requests is not None and self._concluded:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._poll(self._requests)

    async def _poll(self, requests: CancelRequests) -> None:
        concluded, self._concluded = self._concluded, set()
        try:
            known = await requests.fetch(deadline_seconds=CALL_SECONDS)
        except (TransientError, PermanentError) as error:
            CANCEL_POLLS.labels("error").inc()
            self._concluded |= concluded  # the last known requests stay valid
            logger.debug("cancel requests cannot be read: %s", error, extra={"action": "cancel"})
            return
        CANCEL_POLLS.labels("ok").inc()
        oldest_ms = (time.time() - RETENTION_SECONDS) * 1_000
        over = {task for task, time_ms in known.items() if task in concluded or time_ms < oldest_ms}
        self._known = {task: time_ms for task, time_ms in known.items() if task not in over}
        for task in self._known.keys() & self._watched.keys():
            for requested in self._watched[task]:
                if not requested.done():
                    requested.set_result(None)
        over |= await self._ended_unnoticed()
        self._concluded.update(list(over)[MAX_REMOVALS:])
        if over:
            await self._remove(requests, list(over)[:MAX_REMOVALS])

    async def _ended_unnoticed(self) -> set[TaskKey]:
        """Check one old request: the replica that concluded its task may have stopped before it removed the request.

        Which one is random, so that replicas need not agree. Only requests of tasks that wait get old otherwise.
        """
        newest_ms = (time.time() - ENDED_SECONDS) * 1_000
        old = [task for task in self._known.keys() - self._watched.keys() if self._known[task] < newest_ms]
        if self._history is None or not old:
            return set()
        user_id, task_id = task = random.choice(old)
        try:
            entry = await self._history.find(user_id, task_id, int(time.time() * 1000), deadline_seconds=CALL_SECONDS)
        except (TransientError, PermanentError):
            return set()
        is_old = entry is not None and entry.notification.time_ms < newest_ms
        return {task} if is_old else set()

    async def _remove(self, requests: CancelRequests, tasks: list[TaskKey]) -> None:
        try:
            await requests.remove(tasks, deadline_seconds=CALL_SECONDS)
        except (TransientError, PermanentError) as error:
            self._concluded.update(tasks)
            logger.debug("cancel requests cannot be removed: %s", error, extra={"action": "cancel"})
