"""Running handlers that cannot be trusted."""

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from notification_api import PermanentError, Result, Task
from services.processor.delivery.retry_policy import Failure, failure_of
from services.processor.handlers import runner as runner_module
from services.processor.handlers.calls import Call, asynchronous_call
from services.processor.handlers.errors import HandlerAborted
from services.processor.handlers.runner import Runner
from tests.support.processor.handler_call import call_of
from tests.support.processor.make_task import make_task
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _short_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "HANDLER_STOP_SECONDS", 0.05)


class Stubborn:
    """A handler that ignores its cancellation until it may end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def __call__(self, task: Task) -> str:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                continue
        return "too late"


@pytest.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    handler = Stubborn()
    yield handler
    handler.may_end.set()
    await asyncio.sleep(0)


class RunnerOf:
    """A runner of one handler."""

    def __init__(self, call: Call, limit: int = 99) -> None:
        self.is_stopped = False
        self._call = call
        self._runner = Runner(limit=limit, on_limit=self._stop)
        self.faults = self._runner.faults

    @property
    def abandoned(self) -> int:
        return self._runner.abandoned

    def run(self, task: Task, limit_seconds: float, *arguments: Any) -> Coroutine[Any, Any, Result]:
        return self._runner.run(task, self._call, limit_seconds, *arguments)

    def _stop(self) -> None:
        self.is_stopped = True


def runner(handler: Callable[[Task], Awaitable[str]], limit: int = 99) -> RunnerOf:
    """A runner of an asynchronous handler."""
    return RunnerOf(asynchronous_call(handler), limit)


class Unreachable(Exception):
    """An error that shows whether it is still referenced."""

    def __init__(self, made: "list[weakref.ref[Unreachable]]") -> None:
        super().__init__()
        made.append(weakref.ref(self))


async def test_a_failed_task_is_freed_at_once_without_garbage_collection() -> None:
    """The services' collector has patience (serve.py): with a cycle a failure, large bodies would pile up."""
    made: list[weakref.ref[Unreachable]] = []

    async def fail(_: Task) -> str:
        raise Unreachable(made)

    running = runner(fail)
    gc.disable()
    try:
        with suppress(Unreachable):
            await running.run(make_task(), 1)
        await asyncio.sleep(0)
        assert made[0]() is None
    finally:
        gc.enable()


class NamelessType(type):
    """A metaclass may answer anything to the question for a name."""

    __name__ = property(lambda _: 1 / 0)


async def test_an_error_whose_class_has_no_name_keeps_its_kind() -> None:
    class Nameless(PermanentError, metaclass=NamelessType):
        pass

    async def fail(_: Task) -> str:
        raise Nameless

    running = runner(fail)
    for _ in range(3):
        with pytest.raises(Nameless):
            await running.run(make_task(), 1)
    assert [fault.message for fault in running.faults()] == ["every task fails, the last with an object without a name"]


async def test_the_fault_of_failing_tasks_is_short_whatever_the_name() -> None:
    kind = type("x" * 10_000, (Exception,), {})

    async def fail(_: Task) -> str:
        raise kind

    running = runner(fail)
    for _ in range(3):
        with pytest.raises(kind):
            await running.run(make_task(), 1)
    assert len(orjson.dumps([fault.message for fault in running.faults()])) < 300


async def test_the_handlers_text_is_the_answer() -> None:
    async def echo(task: Task) -> str:
        return task.data

    assert await runner(echo).run(make_task("hello"), 5) == Result("hello")


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), BaseExceptionGroup("many", [SystemExit()])])
async def test_no_exception_of_a_handler_ends_more_than_its_task(error: BaseException) -> None:
    async def fail(task: Task) -> str:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await runner(fail).run(make_task(), 5)


class FailsAndExits(RuntimeError, SystemExit):
    """Caught as an Exception, it would end the event loop all the same."""


class FailsAndCancels(PermanentError, asyncio.CancelledError):
    pass


class FailsAndCloses(PermanentError, GeneratorExit):
    pass


class CancelsAndExits(asyncio.CancelledError, SystemExit):
    pass


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        (FailsAndExits, Failure.UNKNOWN),
        (FailsAndCancels, Failure.PERMANENT),
        (FailsAndCloses, Failure.PERMANENT),
        (CancelsAndExits, Failure.UNKNOWN),
    ],
)
@pytest.mark.parametrize("in_thread", [False, True])
async def test_an_exception_of_two_kinds_is_an_ordinary_failure(
    kind: type[BaseException], failure: Failure, in_thread: bool
) -> None:
    def fail_in_thread(task: Task) -> str:
        raise kind

    async def fail(task: Task) -> str:
        raise kind

    async with call_of(fail_in_thread if in_thread else fail) as call:
        with pytest.raises(HandlerAborted, match=kind.__name__) as raised:
            await RunnerOf(call).run(make_task(), 5)
    assert failure_of(raised.value) is failure


@dataclass(frozen=True)
class Frozen(PermanentError):
    code: int = 1


class ExitsWhenSet(PermanentError):
    def __setattr__(self, _name: str, _value: object) -> None:
        raise SystemExit(5)


@pytest.mark.parametrize("kind", [Frozen, ExitsWhenSet])
async def test_an_error_that_cannot_be_changed_passes_through_context_managers(kind: type[PermanentError]) -> None:
    async def fail(task: Task) -> str:
        raise kind

    @contextmanager
    def nothing() -> Iterator[None]:
        yield

    with pytest.raises(HandlerAborted) as raised, nothing():
        await runner(fail).run(make_task(), 5)
    assert type(raised.value.__cause__) is kind
    assert failure_of(raised.value) is Failure.PERMANENT


async def test_a_handler_that_cancels_itself_has_failed() -> None:
    async def fail(task: Task) -> str:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled itself"):
        await runner(fail).run(make_task(), 5)


async def test_a_handler_is_cancelled_at_its_time_limit_and_can_see_that() -> None:
    seen: list[bool] = []

    async def slow(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(task.cancelled)
        return ""

    with pytest.raises(TimeoutError, match=r"more than 0\.05 s"):
        await runner(slow).run(make_task(), 0.05)
    assert seen == [True]


async def test_an_error_of_a_handler_that_is_being_stopped_is_ignored() -> None:
    async def bad_end(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("in the way")

    with pytest.raises(TimeoutError):
        await runner(bad_end).run(make_task(), 0.05)


async def test_a_handler_that_ignores_cancellation_is_abandoned_and_counted(stubborn: Stubborn) -> None:
    running = runner(stubborn)
    with pytest.raises(TimeoutError):
        await running.run(make_task(), 0.01)
    assert running.abandoned == 1
    stubborn.may_end.set()
    await wait_until(lambda: running.abandoned == 0)
    assert not running.is_stopped


async def test_too_many_handlers_that_do_not_stop_end_the_service(stubborn: Stubborn) -> None:
    running = runner(stubborn, limit=2)
    for _ in range(2):
        assert not running.is_stopped
        with pytest.raises(TimeoutError):
            await running.run(make_task(), 0.01)
    assert running.is_stopped


async def test_a_thread_that_does_not_end_counts_like_a_task_that_does_not() -> None:
    """Else the threads would run out unnoticed, and every later task would wait for one until its time is up."""
    may_end = threading.Event()

    def never(task: Task) -> str:
        may_end.wait(10)
        return ""

    async with call_of(never, threads=2) as call:
        running = RunnerOf(call, limit=2)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await running.run(make_task(), 0.01)
        assert running.abandoned == 2
        assert running.is_stopped
        may_end.set()
        await wait_until(lambda: running.abandoned == 0)


@pytest.mark.parametrize(("checks_cancellation", "results"), [(False, ["done"]), (True, [])])
async def test_a_result_of_an_aborted_task_is_kept_unless_it_may_be_partial(
    checks_cancellation: bool, results: list[str]
) -> None:
    late: list[Result] = []

    async def finishes(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert not checks_cancellation or task.cancelled
        return "done"

    work = asyncio.create_task(runner(finishes).run(make_task(), 60, late.append))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert late == [Result(text) for text in results]


async def test_a_handler_whose_cleanup_is_aborted_still_counts(stubborn: Stubborn) -> None:
    """First its lease is lost, then the drain cuts off: it still runs, and that must be known."""
    running = runner(stubborn)
    work = asyncio.create_task(running.run(make_task(), 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert running.abandoned == 1


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


async def test_a_handler_has_a_copy_of_the_callers_context() -> None:
    """So that its log lines have the task's id, and what it sets stays its own."""

    async def handle(_: Task) -> str:
        seen = variable.get()
        variable.set("the handler's")
        return seen

    variable.set("the caller's")
    assert await runner(handle).run(make_task(), 5) == Result("the caller's")
    assert variable.get() == "the caller's"


async def test_a_handler_that_another_cancels_before_it_starts_has_failed() -> None:
    """A handler may cancel all tasks of the event loop: the others must not wait for their time limit."""
    calls: list[str] = []

    async def handle(_: Task) -> str:
        calls.append("called")
        return ""

    running = asyncio.create_task(runner(handle).run(make_task(), 60))
    await asyncio.sleep(0)
    for each in asyncio.all_tasks():
        if each.get_name() == "handler":
            each.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="cancelled itself"):
            await running
    assert calls == []


async def test_a_type_whose_threads_are_mostly_taken_by_abandoned_handlers_stops_the_service() -> None:
    """Its other tasks would wait for a thread until their time limit, although the replica has slots."""
    stopped, ended = [], asyncio.Event()

    async def never(_task: Task) -> str:
        while not ended.is_set():
            with suppress(asyncio.CancelledError):
                await ended.wait()
        return ""

    one = Runner(limit=99, on_limit=lambda: stopped.append(True), type_limits={"plain": 1})
    call = asynchronous_call(never)
    for task_type, is_stopped in (("other", False), ("plain", True)):
        with pytest.raises(TimeoutError):
            await one.run(make_task(type=task_type), call, 0.01)
        assert bool(stopped) == is_stopped
    ended.set()
