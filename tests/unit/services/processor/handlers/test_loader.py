"""Finding a handler by name, and giving each kind of function the same form."""

import asyncio
import functools
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from notification_api import Task
from services.common.settings import SettingsError
from services.processor.handlers.loader import NotTextError, find_handler, is_asynchronous, runnable
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
    with runnable(function, 1) as handler:
        assert await handler(make_task()) == answer


def test_only_functions_that_await_run_in_the_loop() -> None:
    assert [is_asynchronous(one) for one in (asynchronous, Callable(), plain, returns_awaitable)] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_result_that_is_no_text_is_refused() -> None:
    with runnable(lambda _: 5, 1) as handler, pytest.raises(NotTextError, match="int, not text"):
        await handler(make_task())


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

    with (
        runnable((lambda _: kind()) if in_thread else answer, 1) as handler,
        pytest.raises(NotTextError, match="not text"),
    ):
        await handler(make_task())


async def test_plain_functions_run_beside_each_other_up_to_the_number_of_threads() -> None:
    together = threading.Barrier(4, timeout=10)

    def meet(task: Task) -> str:
        return str(together.wait() >= 0)

    with runnable(meet, 4) as handler:
        assert await asyncio.gather(*(handler(make_task()) for _ in range(4))) == ["True"] * 4


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), SystemExit(3)])
async def test_errors_of_a_plain_function_are_raised(error: BaseException) -> None:
    def fail(task: Task) -> str:
        raise error

    with runnable(fail, 1) as handler, pytest.raises(type(error)) as raised:
        await handler(make_task())
    assert raised.value is error


async def test_stop_iteration_in_a_thread_does_not_hang_the_task() -> None:
    def fail(task: Task) -> str:
        return next(iter(()))

    with runnable(fail, 1) as handler:
        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await handler(make_task())


async def test_a_cancelled_plain_function_is_waited_for_since_its_thread_runs_on() -> None:
    go_on, running = threading.Event(), threading.Event()

    def stubborn(task: Task) -> str:
        running.set()
        go_on.wait(10)
        return "too late"

    with runnable(stubborn, 1) as handler:
        work = asyncio.ensure_future(handler(make_task()))
        await wait_until(running.is_set)
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=0.1)
        assert not done
        go_on.set()
        assert await work == "too late"  # a finished result counts


async def test_the_result_of_a_plain_function_that_saw_its_cancellation_is_ignored() -> None:
    go_on, running, task = threading.Event(), threading.Event(), make_task()

    def polite(task: Task) -> str:
        running.set()
        go_on.wait(10)
        return "a part" if task.cancelled else "all"

    with runnable(polite, 1) as handler:
        work = asyncio.ensure_future(handler(task))
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

    with runnable(first_waits, 1) as handler:
        first = asyncio.ensure_future(handler(make_task("first")))
        await wait_until(lambda: calls == ["first"])
        second = asyncio.ensure_future(handler(make_task("second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await first
    assert calls == ["first"]


async def test_a_cancelled_task_publishes_no_progress() -> None:
    published: list[str] = []

    async def publish(text: str) -> bool:
        published.append(text)
        return True

    task = make_task(publish_progress=publish)
    assert await task.progress("half")
    task.cancel()
    assert not await task.progress("more")
    assert published == ["half"]


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [
        (None, "no_such_module:handle", "no_such_module cannot be imported: No module named 'no_such_module'"),
        ("", "handlers:handle", "handlers has no function handle"),
        ("handle = 5", "handlers:handle", "handlers has no function handle"),
        ("def handle(): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("def handle(a, b): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("def handle(*, task): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("import nothing_like_it", "handlers:handle", "handlers cannot be imported: No module named 'nothing_like_it'"),
        ("def handle(:", "handlers:handle", "handlers cannot be imported: SyntaxError"),
        ("import os; os.environ['NOT_SET']", "handlers:handle", "handlers cannot be imported: KeyError: 'NOT_SET'"),
        ("raise SystemExit", "handlers:handle", "handlers cannot be imported: SystemExit"),
    ],
)
def test_a_handler_that_cannot_be_used_is_refused_in_one_sentence(
    source: str | None, name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, function = name.partition(":")
    if source is not None:
        module = f"handlers_{abs(hash((source, tmp_path)))}"
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as refused:
        find_handler(f"{module}:{function}")
    assert sentence.replace("handlers", module) in refused.value.problems["TASK_HANDLER"][0]


def test_a_function_with_more_arguments_that_have_defaults_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_defaults.py").write_text("def handle(task, verbose=False): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert callable(find_handler("with_defaults:handle"))
