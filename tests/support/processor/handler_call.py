"""What runs the tasks of a handler, without a processor."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from notification_api import Handlers
from services.common.settings import load
from services.processor.handlers.calls import Call
from services.processor.handlers.task_types import TaskTypes, open_task_types
from services.processor.settings import ProcessorSettings, read_settings
from tests.support.processor.in_process import as_handlers

ENVIRONMENT = {
    "STAGE_NAME": "test",
    "TASK_QUEUE_URL": "http://queue",
    "DEAD_LETTER_QUEUE_URL": "http://queue",
    "MOMENTO_API_KEY_PARAM_NAME": "/key",
    "MOMENTO_CACHE_NAME": "cache",
}


def processor_settings(**changes: Any) -> ProcessorSettings:
    """The defaults, with changes."""
    with patch.dict(os.environ, ENVIRONMENT, clear=True):
        return replace(load(read_settings), **changes)


@asynccontextmanager
async def opened_types(handlers: Callable[..., Any] | Handlers, **changes: Any) -> AsyncIterator[TaskTypes]:
    """The task types of a handler or a registry, as in a processor with changed settings."""
    async with open_task_types(as_handlers(handlers), processor_settings(**changes)) as types:
        yield types


@asynccontextmanager
async def call_of(handler: Callable[..., Any], threads: int = 1) -> AsyncIterator[Call]:
    """What runs the tasks of one handler."""
    async with opened_types(handler, handler_threads=threads) as types:
        yield types["default"].call
