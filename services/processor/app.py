"""The processor service: receive, handle, tell, acknowledge. It has no API, only the operations port."""

from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from services.common.aws import sqs_client
from services.common.lifecycle import Lifecycle
from services.common.momento_app import MOMENTO, use_momento
from services.common.settings import SettingsError
from services.common.task_queue import TaskQueue
from services.processor.handler import find_handler, is_asynchronous, runnable
from services.processor.pool import STOP_SECONDS
from services.processor.processor import Processor
from services.processor.settings import ProcessorSettings
from services.processor.watchdog import watched_loop

SQS_CONNECTIONS = 40


def create_app(settings: ProcessorSettings, lifecycle: Lifecycle) -> web.Application:
    """Build the service.

    :raises SettingsError: when the handler cannot be used, or a drain would outlast its grace.
    """
    _check_grace(settings)
    function = find_handler(settings.handler)
    if not is_asynchronous(function):  # a message that is held must have a thread to run in
        settings = replace(settings, concurrency=min(settings.concurrency, settings.handler_threads))
    app = web.Application()
    use_momento(app, settings.momento, lifecycle)

    async def processor(app: web.Application) -> AsyncIterator[None]:
        async with sqs_client(wait_seconds=settings.receive_wait_seconds, max_connections=SQS_CONNECTIONS) as client:
            with watched_loop(), runnable(function, settings.handler_threads) as handler:
                queue = TaskQueue(client, settings.task_queue_url)
                dead_letters = TaskQueue(client, settings.dead_letter_queue_url)
                parts = Processor(settings, lifecycle, app[MOMENTO], queue, dead_letters, handler)
                async with parts.running():
                    yield

    app.cleanup_ctx.append(processor)
    return app


def _check_grace(settings: ProcessorSettings) -> None:
    least = settings.receive_wait_seconds + STOP_SECONDS
    if settings.service.shutdown_grace_seconds <= least:
        raise SettingsError(
            {"SHUTDOWN_GRACE_SECONDS": [f"must be above {least:g}: the long poll (RECEIVE_WAIT_SECONDS) is awaited"]}
        )
