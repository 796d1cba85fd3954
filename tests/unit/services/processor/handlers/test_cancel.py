"""A user cancels a task whose handler runs: what the handler does then decides."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notification_api import PermanentError, Result, Task
from services.processor.handlers import runner as runner_module
from services.processor.handlers.calls import asynchronous_call
from services.processor.handlers.errors import HandlerAborted, HandlerCancelled
from services.processor.handlers.runner import Runner
from tests.support.processor.handler_call import call_of
from tests.support.processor.make_task import make_task
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _short_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "HANDLER_STOP_SECONDS", 0.05)


class Run:
    """A run of a handler whose task can be cancelled by its user."""

    def __init__(self, call: Any, limit_seconds: float = 10, task: Task | None = None) -> None:
        self.task = task or make_task()
        self.runner = Runner(limit=99, on_limit=lambda: None)
        self.late: list[Result] = []
        self.cancel_requested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running = asyncio.ensure_future(
            self.runner.run(self.task, call, limit_seconds, self.late.append, self.cancel_requested)
        )

    def cancel(self) -> None:
        self.cancel_requested.set_result(None)

    async def result(self) -> Result:
        async with asyncio.timeout(5):
            return await self.running

    async def until_cancelled(self) -> None:
        with pytest.raises(HandlerCancelled):
            await self.result()


def run(handler: Callable[[Task], Any], limit_seconds: float = 10, task: Task | None = None) -> Run:
    return Run(asynchronous_call(handler), limit_seconds, task)


async def started(of: Run) -> None:
    """Let the handler run to its first await."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_handler_that_stops_ends_the_task_as_cancelled() -> None:
    seen: list[bool] = []

    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(task.cancelled)
        return ""

    one = run(handle)
    await started(one)
    one.cancel()
    await one.until_cancelled()
    assert seen == [True]


async def test_a_handler_that_finishes_all_the_same_has_a_result() -> None:
    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return f"kept, cancelled: {task.cancelled}"
        return ""

    one = run(handle)
    await started(one)
    one.cancel()
    assert await one.result() == Result("kept, cancelled: True")


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("a bug"), PermanentError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()),
        *(TimeoutError(), ExceptionGroup("many", [PermanentError("no", public="no")])),
    ],
)
async def test_whatever_a_cancelled_handler_raises_the_task_is_cancelled(error: BaseException) -> None:
    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            raise error

    one = run(handle)
    await started(one)
    one.cancel()
    await one.until_cancelled()
    assert one.runner.faults() == []


async def test_the_error_of_a_cancelled_handler_is_the_cause() -> None:
    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("in the cleanup")

    one = run(handle)
    await started(one)
    one.cancel()
    with pytest.raises(HandlerCancelled) as raised:
        await one.result()
    assert isinstance(raised.value.__cause__, ValueError)


STEPS = 5


@pytest.mark.parametrize("step", range(STEPS + 1))
async def test_a_cancel_is_seen_at_whichever_await_it_comes(step: int) -> None:
    reached: list[int] = []
    may_go_on = asyncio.Semaphore(0)

    async def handle(task: Task) -> str:
        for number in range(STEPS):
            reached.append(number)
            await may_go_on.acquire()
        return "done"

    one = run(handle)
    for number in range(step):
        await wait_until(lambda: len(reached) > number)  # noqa: B023 — it is awaited in the loop
        may_go_on.release()
    if step < STEPS:
        await wait_until(lambda: step in reached)
        one.cancel()
        await one.until_cancelled()
        assert reached == list(range(step + 1))
    else:
        assert await one.result() == Result("done")
        one.cancel()


async def test_a_cancel_after_the_end_changes_nothing() -> None:
    """The handler has returned, but the run has not been resumed yet."""
    may_end = asyncio.Event()
    one: Run

    async def handle(task: Task) -> str:
        await may_end.wait()
        one.cancel()
        return "done"

    one = run(handle)
    await started(one)
    may_end.set()
    assert await one.result() == Result("done")


async def test_a_cancel_before_the_start_keeps_the_handler_from_starting() -> None:
    calls: list[Task] = []

    async def handle(task: Task) -> str:
        calls.append(task)
        return ""

    one = run(handle)
    one.cancel()
    await one.until_cancelled()
    assert calls == []


async def test_a_request_that_is_withdrawn_changes_nothing() -> None:
    may_end = asyncio.Event()

    async def handle(task: Task) -> str:
        await may_end.wait()
        return f"cancelled: {task.cancelled}"

    one = run(handle)
    await started(one)
    one.cancel_requested.cancel()
    await started(one)
    may_end.set()
    assert await one.result() == Result("cancelled: False")


async def test_a_handler_is_cancelled_once_so_that_its_cleanup_is_not_interrupted() -> None:
    cancellations: list[int] = []
    may_end = asyncio.Event()

    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            while not may_end.is_set():
                try:
                    await may_end.wait()
                except asyncio.CancelledError:
                    cancellations.append(1)
        return ""

    one = run(handle)
    await started(one)
    one.cancel()
    await started(one)
    assert not one.running.done()
    may_end.set()
    await one.until_cancelled()
    assert cancellations == []


class Stubborn:
    """A handler that ignores every cancellation until it may end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def __call__(self, task: Task) -> str:
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()
        return "too late"


@pytest.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    handler = Stubborn()
    yield handler
    handler.may_end.set()
    await asyncio.sleep(0)


async def test_a_handler_that_swallows_the_cancellation_and_finishes_has_a_result(stubborn: Stubborn) -> None:
    one = run(stubborn)
    await started(one)
    one.cancel()
    await started(one)
    stubborn.may_end.set()
    assert await one.result() == Result("too late")
    assert one.runner.abandoned == 0


async def test_a_handler_that_ignores_the_cancellation_is_abandoned_at_its_time_limit(stubborn: Stubborn) -> None:
    one = run(stubborn, limit_seconds=0.05)
    await started(one)
    one.cancel()
    await one.until_cancelled()
    assert one.runner.abandoned == 1
    assert one.runner.faults() == []
    stubborn.may_end.set()
    await wait_until(lambda: one.runner.abandoned == 0)


async def test_a_drain_interrupts_the_run_of_a_cancelled_task(stubborn: Stubborn) -> None:
    one = run(stubborn)
    await started(one)
    one.cancel()
    await started(one)
    one.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one.result()
    assert one.runner.abandoned == 1


async def test_after_a_drain_has_begun_a_cancel_does_not_interrupt_the_cleanup() -> None:
    cancellations: list[int] = []

    async def handle(task: Task) -> str:
        for _ in range(3):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                cancellations.append(1)
        return "done"

    one = run(handle)
    await started(one)
    one.running.cancel()
    await started(one)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one.result()
    assert cancellations == [1]
    assert one.late == [Result("done")]


async def test_without_a_cancel_the_request_has_no_callback_left() -> None:
    """One future may live as long as its delivery: callbacks of ended runs would pile up on it."""

    async def handle(task: Task) -> str:
        return "done"

    one = run(handle)
    assert await one.result() == Result("done")
    assert not one.cancel_requested._callbacks


async def test_a_handler_cannot_pretend_that_its_task_was_cancelled() -> None:
    async def handle(task: Task) -> str:
        raise HandlerCancelled

    with pytest.raises(HandlerAborted):
        await run(handle).result()


async def test_a_cancelled_task_is_freed_at_once_without_garbage_collection() -> None:
    made: list[weakref.ref[Exception]] = []

    class Unreachable(Exception):
        def __init__(self) -> None:
            super().__init__()
            made.append(weakref.ref(self))

    async def handle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            raise Unreachable

    running, requested = Runner(limit=99, on_limit=lambda: None), asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, requested.set_result, None)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(HandlerCancelled):
            await running.run(make_task(), asynchronous_call(handle), 10, cancel_requested=requested)
        await asyncio.sleep(0)
        assert made[0]() is None
    finally:
        gc.enable()


class InThread:
    """A plain function that waits in its thread."""

    def __init__(self, *, reads: bool = False, fails: bool = False) -> None:
        self.is_running, self.may_end = threading.Event(), threading.Event()
        self._reads, self._fails = reads, fails

    def __call__(self, task: Task) -> str:
        self.is_running.set()
        self.may_end.wait(10)
        if self._fails:
            raise ValueError("a bug")
        return "a part" if self._reads and task.cancelled else "all"


async def test_a_plain_function_that_does_not_notice_the_cancel_has_a_result() -> None:
    handler = InThread()
    async with call_of(handler) as call:
        one = Run(call)
        await wait_until(handler.is_running.is_set)
        one.cancel()
        await started(one)
        assert not one.running.done()
        handler.may_end.set()
        assert await one.result() == Result("all")


@pytest.mark.parametrize("handler", [InThread(reads=True), InThread(fails=True)], ids=["reads", "fails"])
async def test_a_plain_function_that_noticed_the_cancel_or_fails_ends_its_task_as_cancelled(handler: InThread) -> None:
    async with call_of(handler) as call:
        one = Run(call)
        await wait_until(handler.is_running.is_set)
        one.cancel()
        await started(one)
        handler.may_end.set()
        await one.until_cancelled()


async def test_a_plain_function_that_waits_for_a_thread_does_not_start() -> None:
    handler = InThread()
    async with call_of(handler, threads=1) as call:
        first = Run(call)
        await wait_until(handler.is_running.is_set)
        second = Run(call)
        await started(second)
        second.cancel()
        await second.until_cancelled()
        handler.may_end.set()
        assert await first.result() == Result("all")


async def test_a_cancelled_plain_function_that_does_not_return_is_abandoned_at_its_time_limit() -> None:
    """The second cancellation, at the time limit, must not make its thread look free."""
    handler = InThread()
    async with call_of(handler) as call:
        one = Run(call, limit_seconds=0.1)
        await wait_until(handler.is_running.is_set)
        one.cancel()
        await one.until_cancelled()
        assert one.runner.abandoned == 1
        handler.may_end.set()
        await wait_until(lambda: one.runner.abandoned == 0)
