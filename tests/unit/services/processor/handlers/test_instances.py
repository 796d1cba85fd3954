"""Handlers that are objects: set up before the first task, torn down after the last."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest

from notification_api import Handlers, Result, Task
from services.common.settings import SettingsError
from services.processor.handlers import instances
from tests.support.processor.handler_call import opened_types
from tests.support.processor.make_task import make_task
from tests.support.waiting import wait_until


class Recorded:
    """A handler that notes what is called."""

    def __init__(self) -> None:
        self.calls: list[str] = ["created"]

    async def __call__(self, task: Task) -> str:
        self.calls.append("called")
        return "done"


class Asynchronous(Recorded):
    async def setup(self) -> None:
        self.calls.append("setup")

    async def teardown(self) -> None:
        self.calls.append("teardown")


class Plain(Recorded):
    def __call__(self, task: Task) -> str:  # type: ignore[override]
        self.calls.append("called")
        return "done"

    def setup(self) -> None:
        self.calls.append("setup" if threading.current_thread() is not threading.main_thread() else "in the loop")

    def teardown(self) -> None:
        self.calls.append("teardown")


class ContextManager(Recorded):
    async def __aenter__(self) -> "ContextManager":
        self.calls.append("setup")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.calls.append("teardown")


@pytest.mark.parametrize("kind", [Asynchronous, Plain, ContextManager])
@pytest.mark.parametrize("as_class", [False, True])
async def test_a_handler_is_set_up_before_its_tasks_and_torn_down_after_them(
    kind: type[Recorded], as_class: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Recorded] = []
    create = kind.__init__

    def note(self: Recorded) -> None:
        create(self)
        made.append(self)

    monkeypatch.setattr(kind, "__init__", note)
    handlers = Handlers()
    handlers.register()(kind if as_class else kind())
    assert len(made) == (0 if as_class else 1)
    async with opened_types(handlers) as types:
        assert made[0].calls == ["created", "setup"]
        assert await types["default"].call(make_task()) == Result("done")
        assert await types["default"].call(make_task()) == Result("done")
    (one,) = made
    assert one.calls == ["created", "setup", "called", "called", "teardown"]


async def test_a_handler_may_be_both_and_is_closed_in_reverse_order() -> None:
    class Both(ContextManager):
        async def setup(self) -> None:
            self.calls.append("inner setup")

        async def teardown(self) -> None:
            self.calls.append("inner teardown")

    one = Both()
    async with opened_types(one):
        pass
    assert one.calls == ["created", "setup", "inner setup", "inner teardown", "teardown"]


async def test_setup_and_teardown_run_in_one_task_as_task_groups_require() -> None:
    class WithTaskGroup(Recorded):
        def __init__(self) -> None:
            super().__init__()
            self.group = asyncio.TaskGroup()

        async def __aenter__(self) -> "WithTaskGroup":
            await self.group.__aenter__()
            return self

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            await self.group.__aexit__(kind, error, traceback)
            self.calls.append("closed")

    one = WithTaskGroup()
    async with opened_types(one):
        pass
    assert one.calls[-1] == "closed"


def failing_with(error: BaseException, *, plain: bool = False) -> type[Recorded]:
    class Failing(Recorded):
        async def _fail(self) -> None:
            raise error

        def _fail_in_thread(self) -> None:
            raise error

        setup = _fail_in_thread if plain else _fail

    return Failing


ERRORS = [ValueError("no database"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_a_setup_that_fails_ends_the_start_and_closes_what_is_open(error: BaseException, plain: bool) -> None:
    good = Asynchronous()
    handlers = Handlers()
    handlers.register("good")(good)
    handlers.register("bad")(failing_with(error, plain=plain))
    with pytest.raises(SettingsError) as refused:
        async with opened_types(handlers):
            pytest.fail("it was opened")
    (problem,) = refused.value.problems["TASK_HANDLER"]
    assert problem.startswith(f"the handler of the type 'bad' cannot be set up: {type(error).__name__}")
    assert good.calls[-1] == "teardown"


class SlowSetup(Recorded):
    async def setup(self) -> None:
        await asyncio.sleep(60)


class SlowSetupInThread(Recorded):
    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()

    def setup(self) -> None:
        self.may_end.wait(60)
        self.calls.append("set up")


@pytest.mark.parametrize("kind", [SlowSetup, SlowSetupInThread])
async def test_a_setup_that_takes_too_long_ends_the_start(
    kind: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "SETUP_SECONDS", 0.1)
    slow = kind()
    with pytest.raises(SettingsError, match=r"the handler of the type 'default' is not set up after 0\.1 s"):
        async with opened_types(slow):
            pytest.fail("it was opened")
    if isinstance(slow, SlowSetupInThread):  # its thread ends without an error although nobody waits for it
        slow.may_end.set()
        await wait_until(lambda: "handler-instance" not in {each.name for each in threading.enumerate()})
        assert slow.calls == ["created", "set up"]


async def test_a_class_that_cannot_be_instantiated_ends_the_start() -> None:
    class Refuses(Recorded):
        def __init__(self) -> None:
            raise ValueError("no settings")

    with pytest.raises(SettingsError, match="cannot be set up: ValueError: no settings"):
        async with opened_types(Refuses):
            pytest.fail("it was opened")


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_a_teardown_that_fails_is_logged_and_the_others_run(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Recorded):
        async def teardown(self) -> None:
            raise error

    good = Asynchronous()
    handlers = Handlers()
    handlers.register("bad")(Bad)
    handlers.register("good")(good)
    async with opened_types(handlers):
        pass
    assert good.calls[-1] == "teardown"
    assert caplog.messages == ["a handler's teardown failed"]


class Swallows(Recorded):
    """Its teardown ignores that it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()

    async def teardown(self) -> None:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                continue


class Slow(Recorded):
    async def teardown(self) -> None:
        await asyncio.sleep(60)


@pytest.mark.parametrize("kind", [Swallows, Slow])
async def test_a_teardown_that_takes_too_long_is_logged_and_left(
    kind: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(instances, "TEARDOWN_SECONDS", 0.05)
    monkeypatch.setattr(instances, "ABANDON_SECONDS", 0.05)
    slow = kind()
    async with asyncio.timeout(5), opened_types(slow):
        pass
    assert caplog.messages == ["a handler's teardown failed"]
    if isinstance(slow, Swallows):
        slow.may_end.set()


async def test_the_block_may_fail_and_all_is_torn_down() -> None:
    one = Asynchronous()
    with pytest.raises(ValueError, match="in the block"):
        async with opened_types(one):
            raise ValueError("in the block")
    assert one.calls[-1] == "teardown"
