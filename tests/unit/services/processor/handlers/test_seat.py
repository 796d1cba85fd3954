"""A handler's task that begins with its message's."""

import asyncio
import contextvars
import gc
import warnings

import pytest

from services.processor.handlers.seat import call_beside, spawn_with_seat

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


async def done() -> str:
    return "done"


def handler_tasks() -> int:
    return sum(task.get_name() == "handler" for task in asyncio.all_tasks())


async def test_the_call_begins_in_the_same_round_as_the_task_that_makes_it() -> None:
    begun: list[str] = []

    async def call() -> str:
        begun.append("call")
        return ""

    async def work() -> None:
        begun.append("work")
        await call_beside(call)

    task = spawn_with_seat(work(), name="message")
    await asyncio.sleep(0)
    assert begun == ["work", "call"]
    await task


async def test_a_call_that_is_made_later_is_made_too() -> None:
    answers: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        answers.append(await call_beside(done))

    await spawn_with_seat(work(), name="message")
    assert answers == ["done"]


async def test_what_calls_nothing_leaves_nothing_behind() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    await spawn_with_seat(work(), name="message")
    await asyncio.sleep(0)
    assert handler_tasks() == 0


async def test_the_call_has_a_copy_of_the_callers_context() -> None:
    """So that its log lines have the task's id, and what it sets stays its own."""
    seen: list[str] = []

    async def call() -> str:
        seen.append(variable.get())
        variable.set("the call's")
        return ""

    async def work() -> None:
        variable.set("the caller's")
        await call_beside(call)
        seen.append(variable.get())

    await spawn_with_seat(work(), name="message")
    assert seen == ["the caller's", "the caller's"]


async def test_a_second_call_has_a_task_of_its_own() -> None:
    async def call() -> str:
        await asyncio.sleep(0.01)
        return "done"

    answers: list[str] = []

    async def work() -> None:
        answers.extend(await asyncio.gather(call_beside(call), call_beside(call)))

    await spawn_with_seat(work(), name="message")
    assert answers == ["done", "done"]


async def test_without_a_seat_a_call_has_a_task_as_well() -> None:
    assert await call_beside(done) == "done"


@pytest.mark.parametrize("rounds", [0, 1])
async def test_a_call_is_made_though_somebody_has_cancelled_the_task_that_waited_for_it(rounds: int) -> None:
    answers: list[str] = []

    async def work() -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if task.get_name() == "handler":
                task.cancel()
        answers.append(await call_beside(done))

    await spawn_with_seat(work(), name="message")
    assert answers == ["done"]


async def test_a_call_that_is_cancelled_before_it_began_is_not_made() -> None:
    made: list[str] = []

    async def call() -> str:
        made.append("call")
        return ""

    async def work() -> None:
        await asyncio.sleep(0)
        call_beside(call).cancel()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await spawn_with_seat(work(), name="message")
        await asyncio.sleep(0)
        gc.collect()
    assert not made
    assert handler_tasks() == 0


async def test_a_message_is_freed_without_a_collection() -> None:
    """The services' collector has patience (serve.py)."""

    async def call() -> str:
        await asyncio.sleep(0)
        return ""

    async def work() -> None:
        await call_beside(call)

    async def without() -> None:
        await asyncio.sleep(0)

    async def many() -> None:
        for _ in range(50):
            await spawn_with_seat(work(), name="message")
            await spawn_with_seat(without(), name="message")
        await asyncio.sleep(0)

    await many()
    gc.collect()
    gc.disable()
    try:
        await many()
        assert gc.collect() == 0
    finally:
        gc.enable()
