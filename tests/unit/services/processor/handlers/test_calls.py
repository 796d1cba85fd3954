"""Every kind of function gets the form that is awaited, and its result is checked."""

import asyncio
import functools
import threading
from typing import Any, NoReturn

import pytest

from notification_api import Result, Task
from services.processor.handlers.errors import InvalidResultError
from tests.support.processor.handler_call import call_of, opened_types
from tests.support.processor.make_task import make_task
from tests.support.waiting import wait_until


async def asynchronous(task: Task) -> str:
    return f"async {task.data}"


def plain(task: Task) -> str:
    return f"plain {task.data} in {threading.current_thread().name.rpartition('_')[0]}"


def returns_awaitable(task: Task) -> Any:
    return asynchronous(task)


class Callable:
    async def __call__(self, task: Task) -> str:
        return f"object {task.data}"


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (asynchronous, "async x"),
        (plain, "plain x in handler"),
        (returns_awaitable, "async x"),
        (functools.partial(asynchronous), "async x"),
        (Callable(), "object x"),
    ],
)
async def test_every_kind_of_function_can_be_a_handler(function: Any, answer: str) -> None:
    async with call_of(function) as call:
        assert await call(make_task()) == Result(answer)


@pytest.mark.parametrize(
    ("function", "concurrency"), [(asynchronous, None), (Callable(), None), (plain, 3), (returns_awaitable, 3)]
)
async def test_only_functions_that_await_run_in_the_loop(function: Any, concurrency: int | None) -> None:
    """The others run in threads, of which there are three, so no more of them run at once."""
    async with opened_types(function, handler_threads=3) as types:
        assert types["default"].concurrency == concurrency


async def test_a_result_that_is_no_text_is_refused() -> None:
    async with call_of(lambda _: 5) as call:
        with pytest.raises(InvalidResultError, match="int, not text"):
            await call(make_task())


def hostile(*_: Any) -> NoReturn:
    raise RuntimeError("hostile")


class NamelessType(type):
    __name__ = property(hostile)


class Nameless(metaclass=NamelessType):
    pass


class ClassRaises:
    __class__ = property(hostile)


@pytest.mark.parametrize("kind", [Nameless, ClassRaises], ids=["nameless", "class raises"])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_result_that_is_no_text_is_refused_whatever_its_class_claims(kind: Any, in_thread: bool) -> None:
    async def answer(task: Task) -> Any:
        return kind()

    async with call_of((lambda _: kind()) if in_thread else answer) as call:
        with pytest.raises(InvalidResultError, match="not text"):
            await call(make_task())


async def test_plain_functions_run_beside_each_other_up_to_the_number_of_threads() -> None:
    together = threading.Barrier(4, timeout=10)

    def meet(task: Task) -> str:
        return str(together.wait() >= 0)

    async with call_of(meet, threads=4) as call:
        assert await asyncio.gather(*(call(make_task()) for _ in range(4))) == [Result("True")] * 4


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), SystemExit(3)])
async def test_errors_of_a_plain_function_are_raised(error: BaseException) -> None:
    def fail(task: Task) -> str:
        raise error

    async with call_of(fail) as call:
        with pytest.raises(type(error)) as raised:
            await call(make_task())
    assert raised.value is error


async def test_stop_iteration_in_a_thread_does_not_hang_the_task() -> None:
    def fail(task: Task) -> str:
        return next(iter(()))

    async with call_of(fail) as call:
        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await call(make_task())


async def test_a_cancelled_plain_function_is_waited_for_since_its_thread_runs_on() -> None:
    go_on, running = threading.Event(), threading.Event()

    def stubborn(task: Task) -> str:
        running.set()
        go_on.wait(10)
        return "too late"

    async with call_of(stubborn) as call:
        work = asyncio.ensure_future(call(make_task()))
        await wait_until(running.is_set)
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=0.1)
        assert not done
        go_on.set()
        assert await work == Result("too late")  # a finished result counts


async def test_the_result_of_a_plain_function_that_saw_its_cancellation_is_ignored() -> None:
    go_on, running, task = threading.Event(), threading.Event(), make_task()

    def polite(task: Task) -> str:
        running.set()
        go_on.wait(10)
        return "a part" if task.cancelled else "all"

    async with call_of(polite) as call:
        work = asyncio.ensure_future(call(task))
        await wait_until(running.is_set)
        task.cancel()
        work.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work


async def test_a_plain_function_that_has_not_begun_is_never_called() -> None:
    go_on, calls = threading.Event(), []

    def first_waits(task: Task) -> str:
        calls.append(task.data)
        go_on.wait(10)
        return ""

    async with call_of(first_waits) as call:
        first = asyncio.ensure_future(call(make_task("first")))
        await wait_until(lambda: calls == ["first"])
        second = asyncio.ensure_future(call(make_task("second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await first
    assert calls == ["first"]


async def test_a_cancelled_task_publishes_no_progress() -> None:
    published: list[str] = []

    async def publish(text: str, percent: float | None) -> bool:
        published.append(text)
        return True

    task = make_task(publish_progress=publish)
    assert await task.progress("half")
    task.cancel()
    assert not await task.progress("more")
    assert published == ["half"]
