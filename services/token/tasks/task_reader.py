"""Reads the status and the result of users' tasks, within limits: reads must not use up the quota that writes need."""

import asyncio
from typing import Any

from services.common.momento.results import Results
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.common.web.rate_limit import RateLimit
from services.token.failures import failures_counted
from services.token.metrics import STATUS_READS
from services.token.operation_budget import OperationBudget
from services.token.tasks.cancel_view import CancelView
from services.token.tasks.task_lookup import READ_SECONDS, TaskLookup
from services.token.tasks.task_state import TaskState

READS_PER_MINUTE = 240.0
"""A page may follow eight tasks, each read every two seconds, as Retry-After says."""
READ_OPERATIONS = 2
"""The history and the snapshot."""
BYTES_PER_OPERATION = 1_024
"""Momento counts each started kB as an operation (docs.momentohq.com/cache/limits)."""
NOT_FINAL_RETRY_SECONDS = 2


class TaskReader:
    """Returns the status and the results of tasks.

    :param budget: for reads of the status.
    :param download_budget: for results beyond their first operation.
    """

    def __init__(
        self,
        lookup: TaskLookup,
        results: Results,
        cancels: CancelView,
        budget: OperationBudget,
        download_budget: OperationBudget,
    ) -> None:
        self._lookup = lookup
        self._results = results
        self._cancels = cancels
        self._limit = RateLimit(READS_PER_MINUTE)
        self._budget = budget
        self._download_budget = download_budget
        # The cost of a result is only known afterwards, so the next one is read when the cost is counted.
        self._download = asyncio.Lock()

    async def status(self, user_id: str, task_id: str) -> TaskState:
        """Return the state of the user's task.

        :raises Problem: 404 when no task of the user can have this id, 429 when the user reads too often.
        :raises TransientError: when it cannot be read now.
        """
        with failures_counted(STATUS_READS):
            state = await self._find(user_id, task_id)
        STATUS_READS.labels(state.status).inc()
        requested_at_ms = None if state.is_final else self._cancels.recently_requested_at(user_id, task_id)
        if requested_at_ms is not None:
            state.fields["cancelRequestedAt"] = requested_at_ms
        return state

    async def result(self, user_id: str, task_id: str) -> dict[str, Any]:
        """Return the whole message and data of the user's task.

        :raises Problem: 404 when the task is unknown or has not finished, 410 when the result has expired, 429.
        :raises TransientError: when it cannot be read now.
        """
        with failures_counted(STATUS_READS):
            state = await self._find(user_id, task_id)
            is_stored_apart = state.status == "finished" and "truncated" in state.fields
            fields = await self._read_result(user_id, task_id) if is_stored_apart else state.fields
        STATUS_READS.labels(state.status).inc()
        if state.status != "finished":
            raise _no_result(state)
        if fields is None:
            raise Problem(
                ProblemType.RESULT_EXPIRED,
                "The task has finished, but its whole result is not stored any more. Submit the task again to have it.",
            )
        return {"taskId": task_id, "message": fields.get("message", ""), "data": fields.get("data")}

    async def _read_result(self, user_id: str, task_id: str) -> dict[str, Any] | None:
        async with self._download:
            self._download_budget.take(user_id, 1)
            found = await self._results.find(user_id, task_id, deadline_seconds=READ_SECONDS)
            if found is None:
                return None
            self._download_budget.charge(user_id, found.stored_bytes // BYTES_PER_OPERATION)
            return found.fields

    async def _find(self, user_id: str, task_id: str) -> TaskState:
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            STATUS_READS.labels("rate_limited").inc()
            raise Problem(
                ProblemType.RATE_LIMITED,
                "You have read the status of tasks too often. Try again after the time in Retry-After.",
                retry_after_seconds=wait_seconds,
            )
        self._budget.take(user_id, READ_OPERATIONS)
        state = await self._lookup.find(user_id, task_id)
        if state is None:
            STATUS_READS.labels("unknown").inc()
            raise unknown_task()
        return state


def unknown_task() -> Problem:
    """Return the response for an id that no task of the user has."""
    return Problem(
        ProblemType.TASK_NOT_FOUND, "You have no task with this id, or it ended too long ago. Check the id in the path."
    )


def _no_result(state: TaskState) -> Problem:
    if not state.is_final:
        return Problem(
            ProblemType.RESULT_NOT_READY,
            "The task has not ended, so it has no result yet. Try again after the time in Retry-After.",
            retry_after_seconds=NOT_FINAL_RETRY_SECONDS,
        )
    return Problem(
        ProblemType.NO_RESULT,
        f"The task has no result: it ended with the status {state.status}. GET /task/{{taskId}} says why.",
    )
