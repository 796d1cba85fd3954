"""Task types have every limit resolved: the handler's own, or else the stage's."""

import asyncio
import threading

import pytest

from notification_api import Handlers, Task
from notification_api.handlers import LONGEST_BACKOFF_CAP_SECONDS, LONGEST_TIMEOUT_SECONDS
from services.processor import settings
from tests.support.processor.handler_call import opened_types
from tests.support.processor.make_task import make_task


async def asynchronous(task: Task) -> str:
    return task.type


def plain(task: Task) -> str:
    return threading.current_thread().name


STAGE = {
    "max_task_seconds": 11.0,
    "max_attempts": 7,
    "backoff_base_seconds": 2.0,
    "backoff_cap_seconds": 20.0,
    "handler_threads": 4,
}


async def test_limits_are_the_stages() -> None:
    async with opened_types(asynchronous, **STAGE) as types:
        one = types["default"]
    assert (one.name, one.timeout_seconds, one.max_attempts) == ("default", 11, 7)
    assert (one.backoff_base_seconds, one.backoff_cap_seconds, one.concurrency) == (2, 20, None)


async def test_limits_that_the_handler_gives_are_its_own_also_where_they_are_zero() -> None:
    handlers = Handlers()
    handlers.register(
        "own", timeout_seconds=60, max_attempts=1, concurrency=9, backoff_base_seconds=0, backoff_cap_seconds=0
    )(asynchronous)
    async with opened_types(handlers, **STAGE) as types:
        one = types["own"]
    assert (one.timeout_seconds, one.max_attempts, one.concurrency) == (60, 1, 9)
    assert (one.backoff_base_seconds, one.backoff_cap_seconds) == (0, 0)


@pytest.mark.parametrize(("given", "concurrency"), [(None, 4), (3, 3), (4, 4), (5, 4), (1, 1)])
async def test_no_more_tasks_of_a_plain_function_run_at_once_than_it_has_threads(
    given: int | None, concurrency: int
) -> None:
    handlers = Handlers()
    handlers.register(concurrency=given)(plain)
    async with opened_types(handlers, **STAGE) as types:
        assert types["default"].concurrency == concurrency


async def test_types_are_found_by_name_in_the_order_of_registration() -> None:
    handlers = Handlers()
    for name in ("report", "default", "a"):
        handlers.register(name)(asynchronous)
    async with opened_types(handlers) as types:
        assert tuple(types) == ("report", "default", "a")
        assert types.get("report") is types["report"]
        assert types.get("unknown") is None
        assert (await types["report"].call(make_task(type="report"))).message == "report"


async def test_each_type_has_threads_of_its_own() -> None:
    """So that one whose functions never return does not take the threads of another."""
    may_end = threading.Event()

    def waits(task: Task) -> str:
        may_end.wait(10)
        return ""

    handlers = Handlers()
    handlers.register("waits", concurrency=1)(waits)
    handlers.register("plain", concurrency=1)(plain)
    async with opened_types(handlers) as types:
        running = asyncio.ensure_future(types["waits"].call(make_task()))
        assert (await types["plain"].call(make_task())).message.startswith("handler")
        may_end.set()
        await running


def test_a_handler_may_ask_for_no_more_than_a_stage() -> None:
    most = (LONGEST_TIMEOUT_SECONDS, LONGEST_BACKOFF_CAP_SECONDS)
    assert most == (settings.LONGEST_TASK_SECONDS, settings.SQS_MAX_LEASE_SECONDS)
