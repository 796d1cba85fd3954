"""A replica's view of the stage's cancel requests, for their bounds: a copy of the dictionary, seconds old."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable

from services.common.momento.cancel_requests import RETENTION_SECONDS, CancelRequests, TaskKey
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.history import ELEMENTS_PER_OPERATION
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType

REFRESH_SECONDS = 5.0
"""The shortest time between two reads of the dictionary."""
READ_SECONDS = 2.0
MAX_OF_USER = 20
MAX_OF_STAGE = 200
"""Each replica of the processor reads the whole dictionary, about once a second while it has few requests."""
RETRY_SECONDS = 10
SHOWN_SECONDS = 900.0
"""How long a request is shown in the status."""


class CancelView:
    """Knows which tasks are to be cancelled.

    It is exact for this replica's own requests. Those of other replicas are known after the next read, so the bounds
    may be exceeded by what the replicas accept between two reads.

    :param operations_per_second: how many cache operations reading may use on average. A full dictionary costs 100, so
        it is read less often.
    """

    def __init__(
        self,
        requests: CancelRequests,
        operations_per_second: float,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._operations_per_second = operations_per_second
        self._clock = clock
        self._timer = timer
        self._known: dict[TaskKey, int] = {}
        self._of_user: Counter[str] = Counter()
        self._own: dict[TaskKey, float] = {}
        """When this replica added requests, since a read may not have them yet."""
        self._next_read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._reads = 0
        """How many reads have ended."""
        self._failure: str | None = None
        """Why the last one failed."""

    def requested_at(self, user_id: str, task_id: str) -> int | None:
        """Return when the user asked to cancel the task (epoch milliseconds), if that is known."""
        return self._known.get((user_id, task_id))

    def recently_requested_at(self, user_id: str, task_id: str) -> int | None:
        """Return the same for a status, without an old request: the copy may be older than the request's end."""
        requested_at_ms = self.requested_at(user_id, task_id)
        oldest_ms = (self._clock() - SHOWN_SECONDS) * 1000
        return None if requested_at_ms is None or requested_at_ms < oldest_ms else requested_at_ms

    async def refresh(self) -> None:
        """Read the dictionary unless that was done recently. Requests that wait for a read share its failure.

        :raises MomentoUnavailable: when it cannot be read.
        """
        reads = self._reads
        async with self._reading:
            if self._failure is not None and self._reads > reads:
                raise MomentoUnavailable(self._failure)
            if self._timer() >= self._next_read_at:
                await self._read()

    async def _read(self) -> None:
        started, self._failure = self._timer(), None
        try:
            found = await self._requests.fetch(deadline_seconds=READ_SECONDS)
        except MomentoUnavailable as error:
            self._failure = str(error)
            raise
        finally:
            self._reads += 1
        operations = math.ceil(len(found) / ELEMENTS_PER_OPERATION)
        self._next_read_at = self._timer() + max(REFRESH_SECONDS, operations / self._operations_per_second)
        self._own = {task: at for task, at in self._own.items() if at > started - REFRESH_SECONDS}
        oldest_ms = (self._clock() - RETENTION_SECONDS) * 1000
        known = {task: at_ms for task, at_ms in found.items() if at_ms > oldest_ms}
        self._known = {task: self._known[task] for task in self._own} | known
        self._of_user = Counter(user for user, _ in self._known)

    def check_room(self, user_id: str, task_id: str) -> None:
        """Check that another request is within the bounds; a request that exists always is.

        :raises Problem: 429 when the user has too many requests, 503 when the stage has.
        """
        if (user_id, task_id) in self._known:
            return
        if self._of_user[user_id] >= MAX_OF_USER:
            raise Problem(
                ProblemType.TOO_MANY_CANCEL_REQUESTS,
                f"You have asked to cancel {MAX_OF_USER} tasks that have not ended yet. "
                "Try again after the time in Retry-After, when some have.",
                retry_after_seconds=RETRY_SECONDS,
            )
        if len(self._known) >= MAX_OF_STAGE:
            raise Problem(
                ProblemType.OVERLOADED,
                "Too many tasks are being cancelled right now. Try again after the time in Retry-After.",
                retry_after_seconds=RETRY_SECONDS,
            )

    def add(self, user_id: str, task_id: str, time_ms: int) -> None:
        """Note a request of this replica."""
        task = user_id, task_id
        if task not in self._known:
            self._of_user[user_id] += 1
        self._known[task] = time_ms
        self._own[task] = self._timer()

    def remove(self, user_id: str, task_id: str) -> None:
        """Note that a request was removed."""
        task = user_id, task_id
        self._own.pop(task, None)
        if self._known.pop(task, None) is not None:
            self._of_user[user_id] -= 1
