"""The routes of one task: GET /task/{taskId}, GET /task/{taskId}/result, POST /task/{taskId}/cancel.

The user is that of the verified token. Nothing of the request but the task's id is used.
"""

from http import HTTPStatus

import orjson
from aiohttp import web

from services.common.auth.authentication import USER
from services.common.messages.task_message import is_task_id
from services.common.telemetry.logs import log_context
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.token.tasks.task_canceller import TaskCanceller
from services.token.tasks.task_reader import NOT_FINAL_RETRY_SECONDS, TaskReader, unknown_task

READER = web.AppKey("task_reader", TaskReader)
CANCELLER = web.AppKey("task_canceller", TaskCanceller)
HAS_HISTORY = web.AppKey("has_history", bool)


def add_task_routes(app: web.Application) -> None:
    """Add the routes. `READER` and `CANCELLER` are set when the application starts."""
    app.router.add_get("/task/{taskId}", get_task)
    app.router.add_get("/task/{taskId}/result", get_result)
    app.router.add_post("/task/{taskId}/cancel", post_cancel)


def check_history(request: web.Request) -> None:
    """:raises Problem: 404 when this stage stores no history, so that nothing is known of tasks."""
    if not request.app[HAS_HISTORY]:
        raise Problem(
            ProblemType.HISTORY_DISABLED,
            "The notification history is switched off here, so this path has no data. "
            "An operator can set HISTORY_RETENTION_SECONDS.",
        )


async def get_task(request: web.Request) -> web.Response:
    """Return the status of the user's task."""
    task_id = _task_id(request)
    with log_context(taskId=task_id):
        state = await request.app[READER].status(request[USER].sub, task_id)
    headers = None if state.is_final else {"Retry-After": str(NOT_FINAL_RETRY_SECONDS)}
    return web.Response(body=orjson.dumps(state.fields), content_type="application/json", headers=headers)


async def get_result(request: web.Request) -> web.Response:
    """Return the whole result of the user's task."""
    task_id = _task_id(request)
    with log_context(taskId=task_id):
        result = await request.app[READER].result(request[USER].sub, task_id)
    return web.Response(body=orjson.dumps(result), content_type="application/json")


async def post_cancel(request: web.Request) -> web.Response:
    """Record that the user wants to stop the task. A body is ignored."""
    task_id = _task_id(request)
    with log_context(taskId=task_id):
        cancel = await request.app[CANCELLER].cancel(request[USER].sub, task_id)
    body = {"taskId": task_id, "status": cancel.status, "cancelRequestedAt": cancel.requested_at_ms}
    return web.Response(status=HTTPStatus.ACCEPTED, body=orjson.dumps(body), content_type="application/json")


def _task_id(request: web.Request) -> str:
    check_history(request)
    task_id = request.match_info["taskId"]
    if not is_task_id(task_id):
        raise unknown_task()
    return task_id
