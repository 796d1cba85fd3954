"""The ingest service: POST /task puts a task on the queue and answers 202 once SQS has acknowledged it."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus

import orjson
from aiohttp import web

from services.common.authentication import USER, require_user
from services.common.aws import missing_credentials, sqs_client
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.logs import log_context
from services.common.problem import Problem
from services.common.task_message import IDEMPOTENT, TaskMessage
from services.common.task_queue import OutgoingMessage, QueueAnswerLost, TaskQueue
from services.common.tracing import Kind, is_traceparent, span
from services.common.web import LIFECYCLE, go_on, web_app
from services.ingest.body import read_payload
from services.ingest.metrics import ACCEPTED, REFUSED
from services.ingest.rate_limit import RateLimit
from services.ingest.settings import IngestSettings
from services.ingest.task_id import task_id_for

SETTINGS = web.AppKey("settings", IngestSettings)
SENDER = web.AppKey[Batcher[OutgoingMessage]]("sender", Batcher)
LIMIT = web.AppKey("limit", RateLimit)

CALLS_IN_FLIGHT = 8


def create_app(settings: IngestSettings, lifecycle: Lifecycle) -> web.Application:
    """Build the service."""
    app = web_app(settings.http, lifecycle)
    app[SETTINGS] = settings
    app[LIMIT] = RateLimit(settings.tasks_per_minute)
    require_user(app, settings.oidc)
    app.cleanup_ctx.append(_sender)
    app.router.add_post("/task", post_task, expect_handler=go_on)
    return app


async def _sender(app: web.Application) -> AsyncIterator[None]:
    async with sqs_client(max_connections=CALLS_IN_FLIGHT) as client:
        queue = TaskQueue(client, app[SETTINGS].task_queue_url)
        # Only this is asked: whoever may send to a queue need not be allowed anything that would tell more of it.
        missing = await missing_credentials()
        app[LIFECYCLE].add_check("queue", lambda: f"The task queue cannot be used: {missing}." if missing else None)
        app[SENDER] = Batcher(queue.send, BatchPolicy(max_in_flight=CALLS_IN_FLIGHT), again=sent_again)
        yield
        await app[SENDER].close()


async def post_task(request: web.Request) -> web.Response:
    """Accept a task."""
    user_id = request[USER].sub
    _limit(request.app[LIMIT], user_id)
    payload = await read_payload(request)
    key = request.headers.get("Idempotency-Key")
    with span("send task", Kind.PRODUCER) as sent:
        task = TaskMessage(
            task_id=task_id_for(user_id, key),
            user_id=user_id,
            payload=payload,
            traceparent=sent.traceparent or _traceparent(request.headers.get("traceparent", "")),
            idempotent=key is not None,
        )
        sent.set({"messaging.system": "aws_sqs", "messaging.operation.type": "send", "task.id": task.task_id})
        with log_context(taskId=task.task_id):
            await _send(request.app[SENDER], task)
    return web.Response(
        status=HTTPStatus.ACCEPTED,
        body=orjson.dumps({"taskId": task.task_id}),
        content_type="application/json",
    )


async def _send(sender: Batcher[OutgoingMessage], task: TaskMessage) -> None:
    message = OutgoingMessage(body=task.encoded_body(), attributes=task.attributes(), group_id=task.user_id)
    try:
        await sender.submit(message, message.size())
    except asyncio.CancelledError:  # by the time limit; what was not in flight by then is never sent
        REFUSED.labels("timeout").inc()
        raise
    except Exception:
        REFUSED.labels("queue").inc()
        raise
    ACCEPTED.inc()


def sent_again(message: OutgoingMessage, error: Exception) -> OutgoingMessage:
    """Mark what may be on the queue already, so that the processor looks whether the task was done."""
    if not isinstance(error, QueueAnswerLost):
        return message
    return replace(message, attributes={**message.attributes, IDEMPOTENT: "true"})


def _limit(limit: RateLimit, user_id: str) -> None:
    wait_seconds = limit.retry_after(user_id)
    if wait_seconds:
        REFUSED.labels("rate").inc()
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "You have sent as many tasks as a minute allows. Try again when Retry-After says.",
            headers={"Retry-After": str(math.ceil(wait_seconds))},
        )


def _traceparent(given: str) -> str:
    """Keep the caller's trace (W3C Trace Context), or begin one."""
    if is_traceparent(given):
        return given
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
