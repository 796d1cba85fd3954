"""Records cancel requests. The processor that has or receives the task decides whether it ends as `cancelled`."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from notification_api import PermanentError, TransientError
from services.common.messages.notification import Status
from services.common.momento.cancel_requests import CancelRequests
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.common.web.rate_limit import RateLimit
from services.token.failures import failures_counted
from services.token.metrics import CANCEL_REQUESTS
from services.token.operation_budget import OperationBudget
from services.token.tasks.cancel_view import CancelView
from services.token.tasks.task_lookup import TaskLookup
from services.token.tasks.task_reader import unknown_task
from services.token.tasks.task_state import TaskState

logger = logging.getLogger(__name__)

CANCELS_PER_MINUTE = 60.0
"""Of a user, on each replica: more than a person can click."""
CANCEL_OPERATIONS = 4
"""The history, the snapshot, the write, and the history again."""
WRITE_SECONDS = 2.0
"""The deadline of a write, so that all calls together fit into the request's time limit."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A cancel request that is stored."""

    status: str
    """Of the task, when it was requested."""
    requested_at_ms: int
    """Epoch milliseconds of the first request for this task, as far as this replica knows."""


class TaskCanceller:
    """Records and bounds cancel requests."""

    def __init__(
        self,
        lookup: TaskLookup,
        requests: CancelRequests,
        view: CancelView,
        budget: OperationBudget,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lookup = lookup
        self._requests = requests
        self._view = view
        self._limit = RateLimit(CANCELS_PER_MINUTE)
        self._budget = budget
        self._clock = clock

    async def cancel(self, user_id: str, task_id: str) -> CancelRequest:
        """Ask the processors to cancel the user's task. A repeated request changes nothing.

        If it raises `TransientError`, the request may be stored nevertheless.

        :raises Problem: 404 when no task of the user can have this id, 409 when the task has ended, 429 or 503 beyond
            the bounds.
        :raises TransientError: when the cache cannot be read or written now.
        """
        self._check_rate(user_id)
        with failures_counted(CANCEL_REQUESTS):
            self._budget.take(user_id, CANCEL_OPERATIONS)
            state = await self._open_state(user_id, task_id)
            await self._view.refresh()
            self._check_room(user_id, task_id)
            requested_at_ms = await self._store(user_id, task_id)
            final = await self._lookup.find_final(user_id, task_id)
            if final is not None:
                await self._take_back(user_id, task_id)
                if final.status != Status.CANCELLED:  # else a processor has carried it out already
                    raise _already_ended(final)
        CANCEL_REQUESTS.labels("accepted").inc()
        logger.info("cancel request stored", extra={"action": "cancel", "outcome": "accepted", "status": state.status})
        return CancelRequest(state.status, requested_at_ms)

    def _check_rate(self, user_id: str) -> None:
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            CANCEL_REQUESTS.labels("rate_limited").inc()
            raise Problem(
                ProblemType.RATE_LIMITED,
                "You have cancelled too many tasks in a minute. Try again after the time in Retry-After.",
                retry_after_seconds=wait_seconds,
            )

    async def _open_state(self, user_id: str, task_id: str) -> TaskState:
        state = await self._lookup.find(user_id, task_id)
        if state is None:
            CANCEL_REQUESTS.labels("unknown").inc()
            raise unknown_task()
        if state.is_final:
            raise _already_ended(state)
        return state

    def _check_room(self, user_id: str, task_id: str) -> None:
        try:
            self._view.check_room(user_id, task_id)
        except Problem as problem:
            is_user = problem.type is ProblemType.TOO_MANY_CANCEL_REQUESTS
            CANCEL_REQUESTS.labels("user_full" if is_user else "stage_full").inc()
            raise

    async def _store(self, user_id: str, task_id: str) -> int:
        """Store the request with the time of the first one, and return that time.

        It is written again where it exists already: the copy is some seconds old, and the request may be gone.
        """
        known_ms = self._view.requested_at(user_id, task_id)
        requested_at_ms = int(self._clock() * 1000) if known_ms is None else known_ms
        self._view.add(user_id, task_id, requested_at_ms)  # before the write, since others count it meanwhile
        try:
            await self._requests.add(user_id, task_id, requested_at_ms, deadline_seconds=WRITE_SECONDS)
        except BaseException:
            if known_ms is None:
                self._view.remove(user_id, task_id)
            raise
        return requested_at_ms

    async def _take_back(self, user_id: str, task_id: str) -> None:
        """Remove the request of a task that has ended. If that fails, a processor ignores and removes it."""
        self._view.remove(user_id, task_id)
        try:
            await self._requests.remove([(user_id, task_id)], deadline_seconds=WRITE_SECONDS)
        except (TransientError, PermanentError) as error:
            logger.warning("a cancel request cannot be removed: %s", error, extra={"action": "cancel"})


def _already_ended(state: TaskState) -> Problem:
    CANCEL_REQUESTS.labels("final").inc()
    return Problem(
        ProblemType.TASK_ENDED,
        f"The task has ended with the status {state.status}, so it cannot be cancelled. Read it with GET.",
    )
