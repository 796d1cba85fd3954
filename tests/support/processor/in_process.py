"""The processor in the test's own process and event loop, with any function as its handler."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from aiohttp import web
from prometheus_client import REGISTRY

from notification_api import Handlers, Task
from services.common.lifecycle import Lifecycle
from services.common.settings import load
from services.processor import app
from services.processor.settings import read_settings
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


@asynccontextmanager
async def processor_in_process(
    stage: ProcessorStage,
    handler: Callable[[Task], Any] | Handlers,
    *,
    ready: bool = True,
    force_stop: bool = True,
    **environment: Any,
) -> AsyncIterator[Lifecycle]:
    """Run the real service without its signal handlers and its operations port; it stops at the end of the block.

    :param handler: a function is the handler of the type `default`.
    :param force_stop: stop without waiting for the open poll or for running tasks.
    :param environment: changed settings, such as AWS_ENDPOINT_URL of a proxy.
    """
    lifecycle = Lifecycle()
    settings = {**stage.environment(), **environment}
    with patch.dict(os.environ, settings), patch.object(app, "find_handlers", lambda _: as_handlers(handler)):
        runner = web.AppRunner(app.create_app(load(read_settings), lifecycle), access_log=None)
        await runner.setup()
    try:
        lifecycle.mark_started()
        if ready:
            await wait_until(lambda: not lifecycle.readiness_problems())
        yield lifecycle
    finally:
        lifecycle.stopping.set()
        if force_stop:
            lifecycle.force_stop.set()
        await runner.cleanup()
        await lifecycle.background.close()


def as_handlers(handler: Callable[[Task], Any] | Handlers) -> Handlers:
    """Return a registry with the function as the handler of the type `default`; a registry is returned as it is."""
    if isinstance(handler, Handlers):
        return handler
    handlers = Handlers()
    handlers.register()(handler)
    return handlers


def is_paused() -> bool:
    """Whether the processor in this process has stopped receiving."""
    return REGISTRY.get_sample_value("notification_api_receiving_paused") == 1


class Counted:
    """By how much a metric of this process has grown since."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name = f"notification_api_{name}"
        self._labels = labels
        self._before = self._now()

    def __call__(self) -> float:
        return self._now() - self._before

    def _now(self) -> float:
        """Return the sum over all labels that are not given, such as the task type."""
        return sum(
            sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
            if sample.name == self._name and self._labels.items() <= sample.labels.items()
        )
