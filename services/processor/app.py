"""The processor service: it receives tasks, runs the handler, notifies users. Its only port is the operations port."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from notification_api import Handlers
from services.common.aws.clients import sqs_client
from services.common.aws.task_queue import TaskQueue
from services.common.lifecycle import Lifecycle
from services.common.memory import BASE_BYTES, MIB, container_limit_bytes
from services.common.momento.app_context import MOMENTO, setup_momento
from services.common.settings import SettingsError
from services.processor.handlers.loader import find_handlers
from services.processor.handlers.task_types import concurrency, open_task_types
from services.processor.handlers.watchdog import watched_loop
from services.processor.pool import DRAIN_REQUEUE_SECONDS
from services.processor.processor import Processor
from services.processor.settings import ProcessorSettings

logger = logging.getLogger(__name__)

SQS_CONNECTIONS = 40
BYTES_PER_MESSAGE = 3 * MIB
"""A body of 256 KiB, the largest that ingest accepts by default, is in memory as a message, as a payload and as its
fields, each of them a text with up to four bytes a character. Messages of other producers can be four times as large.
"""


def create_app(settings: ProcessorSettings, lifecycle: Lifecycle) -> web.Application:
    """Build the service.

    :raises SettingsError: when the handler cannot be used, or a drain would outlast its grace.
    """
    _check_grace(settings)
    handlers = find_handlers(settings.handler)
    settings = replace(settings, concurrency=min(settings.concurrency, _most_at_once(handlers, settings)))
    _warn_of_memory(settings)
    app = web.Application()
    setup_momento(app, settings.momento, lifecycle)

    async def processor(app: web.Application) -> AsyncIterator[None]:
        async with (
            sqs_client(wait_seconds=settings.receive_wait_seconds, max_connections=SQS_CONNECTIONS) as client,
            open_task_types(handlers, settings) as types,
        ):
            queue = TaskQueue(client, settings.task_queue_url)
            dead_letters = TaskQueue(client, settings.dead_letter_queue_url)
            composed = Processor(settings, lifecycle, app[MOMENTO], queue, dead_letters, types)
            with watched_loop():
                async with composed.running():
                    yield

    app.cleanup_ctx.append(processor)
    return app


def _most_at_once(handlers: Handlers, settings: ProcessorSettings) -> int:
    """Return how many tasks can run at once by the limits of their types: more slots would never be used."""
    limits = [concurrency(one, settings) for one in handlers.values()]
    return sum(settings.concurrency if limit is None else limit for limit in limits)


def _warn_of_memory(settings: ProcessorSettings) -> None:
    """Log a warning if large messages in every slot, and as many that wait for one, would not fit into the memory."""
    limit = settings.memory_limit_bytes or container_limit_bytes()
    needed = BASE_BYTES + 2 * settings.concurrency * BYTES_PER_MESSAGE
    if limit is not None and needed > limit:
        logger.warning(
            "The memory of %d MiB may not suffice for CONCURRENCY=%d: large messages can need %d MiB, and what the"
            " handler uses comes on top. Raise the memory limit or lower CONCURRENCY.",
            limit // MIB,
            settings.concurrency,
            needed // MIB,
            extra={"action": "start"},
        )


def _check_grace(settings: ProcessorSettings) -> None:
    minimum = settings.receive_wait_seconds + DRAIN_REQUEUE_SECONDS
    if settings.service.shutdown_grace_seconds <= minimum:
        raise SettingsError(
            {"SHUTDOWN_GRACE_SECONDS": [f"must be above {minimum:g}: the long poll (RECEIVE_WAIT_SECONDS) is awaited"]}
        )
