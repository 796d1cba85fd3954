"""The route: POST /task sends a task to the queue and returns 202 once SQS has acknowledged it."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import partial
from http import HTTPStatus

import orjson
from aiohttp import hdrs, web

from services.common.auth.authentication import USER, require_user
from services.common.aws.clients import credentials_problem, sqs_client
from services.common.aws.task_queue import MessageTooLarge, OutgoingMessage, TaskQueue
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.messages.task_message import TaskMessage
from services.common.refresh import refresh_periodically
from services.common.telemetry.logs import log_context
from services.common.telemetry.spans import SpanKind, is_traceparent
from services.common.telemetry.tracing import span
from services.common.web.app import LIFECYCLE, create_web_app
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.common.web.rate_limit import RateLimit
from services.ingest.body import read_task_body
from services.ingest.idempotency import IdempotencyKeys, KeyReusedError, idempotency_key
from services.ingest.metrics import REFUSED, AcceptedTasks
from services.ingest.probe import probe
from services.ingest.sending import Sending, check_size, mark_idempotent, send_batch, too_large_problem
from services.ingest.settings import IngestSettings
from services.ingest.task_id import task_id_for

logger = logging.getLogger(__name__)

SETTINGS = web.AppKey("settings", IngestSettings)
QUEUE = web.AppKey("queue", TaskQueue)
SENDER = web.AppKey[Batcher[Sending]]("sender", Batcher)
LIMIT = web.AppKey("limit", RateLimit)
KEYS = web.AppKey("keys", IdempotencyKeys)
ACCEPTED = web.AppKey("accepted", AcceptedTasks)

CALLS_IN_FLIGHT = 8
READ_LIMIT_SECONDS = 300.0
"""Between two reads of the queue's MaximumMessageSize."""


def create_app(settings: IngestSettings, lifecycle: Lifecycle) -> web.Application:
    """Create the application."""
    app = create_web_app(settings.http, lifecycle)
    app[SETTINGS] = settings
    app[LIMIT] = RateLimit(settings.tasks_per_minute)
    app[KEYS] = IdempotencyKeys()
    app[ACCEPTED] = AcceptedTasks()
    require_user(app, settings.oidc)
    app.cleanup_ctx.append(_sender)
    app.router.add_post("/task", post_task)
    return app


async def _sender(app: web.Application) -> AsyncIterator[None]:
    async with sqs_client(max_connections=CALLS_IN_FLIGHT) as client:
        queue = app[QUEUE] = TaskQueue(client, app[SETTINGS].task_queue_url)
        # Readiness only requires credentials: every call but sending needs a permission that is optional.
        problem = await credentials_problem()
        app[LIFECYCLE].add_faults(queue.faults.current)
        app[LIFECYCLE].add_check("queue", lambda: f"The task queue cannot be used: {problem}." if problem else None)
        app[SENDER] = Batcher(
            partial(send_batch, queue),
            BatchPolicy(max_in_flight=CALLS_IN_FLIGHT),
            before_retry=mark_idempotent,
            max_bytes=lambda: queue.limit.batch_bytes,
        )
        limit_reads = refresh_periodically(queue.read_limit, every_seconds=READ_LIMIT_SECONDS)
        background = app[LIFECYCLE].background
        async with background.running("queue-limit", limit_reads), background.running("queue-probe", probe(queue)):
            yield
            await app[SENDER].close()


async def post_task(request: web.Request) -> web.Response:
    """Accept a task."""
    started = time.perf_counter()
    user_id = request[USER].sub
    _check_rate(request.app[LIMIT], user_id)
    key = idempotency_key(request.headers)
    task_id = task_id_for(user_id, key)
    body = await read_task_body(request, request.app[SETTINGS].task_types)
    with span("send task", SpanKind.PRODUCER) as sent:
        task = TaskMessage(
            task_id=task_id,
            user_id=user_id,
            payload=body.payload,
            traceparent=sent.traceparent or _traceparent(request.headers.get("traceparent", "")),
            idempotent=key is not None,
            type=body.type,
            delay_seconds=body.delay_seconds,
            expires_at_ms=body.expires_at_ms(time.time_ns() // 1_000_000),
        )
        sent.set({"messaging.system": "aws_sqs", "messaging.operation.type": "send", "task.id": task.task_id})
        with log_context(taskId=task.task_id):
            await _send(request.app, task)
            _log_accepted(started)
    return web.Response(
        status=HTTPStatus.ACCEPTED,
        body=orjson.dumps({"taskId": task.task_id}),
        content_type="application/json",
        headers={hdrs.LOCATION: f"/task/{task.task_id}"},
    )


async def _send(app: web.Application, task: TaskMessage) -> None:
    message = OutgoingMessage(
        body=task.encoded_body(),
        attributes=task.attributes(),
        group_id=task.user_id,
        delay_seconds=task.delay_seconds,
    )
    sending = Sending(message)
    try:
        check_size(message, app[QUEUE].limit.message_bytes)
        with app[KEYS].reserved(task, sending) if task.idempotent else nullcontext():
            await app[SENDER].submit(sending, message.size())
    except asyncio.CancelledError:  # by the time limit; a message that is not in flight is not sent any more
        _refused("timeout", sending)
        raise
    except MessageTooLarge as error:
        _refused("too_large", sending)
        raise too_large_problem(message, error.limit_bytes) from error
    except KeyReusedError:
        _refused("key_reused", sending)
        raise
    except Exception:
        _refused("queue", sending)
        raise
    app[ACCEPTED].count(task.delay_seconds)


def _refused(reason: str, sending: Sending) -> None:
    """Count and log a refused task. If a response of SQS was lost, it may be on the queue nevertheless."""
    REFUSED.labels(reason).inc()
    fields = {"action": "accept", "outcome": "refused", "reason": reason, "mayBeQueued": sending.may_be_queued}
    logger.warning("task refused", extra=fields)


def _log_accepted(started: float) -> None:
    seconds = round(time.perf_counter() - started, 5)
    logger.info("task accepted", extra={"action": "accept", "outcome": "accepted", "seconds": seconds})


def _check_rate(limit: RateLimit, user_id: str) -> None:
    wait_seconds = limit.retry_after(user_id)
    if wait_seconds:
        REFUSED.labels("rate").inc()
        raise Problem(
            ProblemType.RATE_LIMITED,
            "You have sent too many tasks in a minute. Try again after the time in Retry-After.",
            retry_after_seconds=wait_seconds,
        )


def _traceparent(header: str) -> str:
    """Return the caller's traceparent (W3C Trace Context), or a new one."""
    if is_traceparent(header):
        return header
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
