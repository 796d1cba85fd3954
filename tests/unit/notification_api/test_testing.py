"""The test helper says what the processor would do."""

import asyncio
import enum
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import Handlers, PermanentError, Result, Task, TransientError
from notification_api.json_rules import NotJsonError, TooLargeError, as_stored
from notification_api.testing import run, run_async
from services.processor.delivery.retry_policy import RetryPolicy, failure_of
from services.processor.handlers.errors import HandlerCancelled, InvalidResultError, ResultTooLargeError
from services.processor.handlers.results import checked_result
from services.processor.handlers.runner import Runner
from tests.support.processor.handler_call import call_of
from tests.support.processor.make_task import make_task


class FailsAndExits(RuntimeError, SystemExit):
    pass


class FailsAndCancels(PermanentError, asyncio.CancelledError):
    pass


class ClaimsToBePermanent(Exception):
    __class__ = property(lambda _: PermanentError)


class Colour(enum.Enum):
    RED = "red"
    NONE = float("nan")


class Ranked(enum.IntEnum):
    FIRST = 1


def nested(levels: int, innermost: Any = 1) -> Any:
    value = innermost
    for _ in range(levels):
        value = [value]
    return value


ERRORS: list[BaseException] = [
    *(ValueError("a bug"), TransientError("busy"), TimeoutError(), PermanentError("no", public="No")),
    *(SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), StopIteration()),
    *(FailsAndExits(), FailsAndCancels(), ClaimsToBePermanent()),
    ExceptionGroup("many", [ValueError(), PermanentError("no", public="No")]),
    ExceptionGroup("many", [ExceptionGroup("inner", [PermanentError()])]),
    ExceptionGroup("many", [ValueError(), TransientError()]),
    BaseExceptionGroup("many", [SystemExit(), PermanentError()]),
    BaseExceptionGroup("many", [SystemExit(), ValueError()]),
]
DATA: list[Any] = [
    *(None, "text", 5, 1.5, True, [1, None], {"a": [1]}, (1, 2), 2**64 - 1, -(2**63), uuid.UUID(int=1), "ä\0😀"),
    *(Colour.RED, Ranked.FIRST, nested(249), nested(250), nested(249, [])),
    *(float("nan"), -float("inf"), [{"a": float("nan")}], 2**64, -(2**63) - 1, {1: 2}, {None: 1}, {1, 2}, b"a"),
    *("\ud800", {"\ud800": 1}, object(), nested(251), nested(250, []), {"a": Colour.NONE}, {Colour.RED: 1}),
    *("x" * 524_260, "x" * 524_280, ["x"] * 131_000, ["x"] * 131_072, '"' * 262_100, '"' * 262_200, "\0" * 90_000),
]
INVALID: list[Any] = [None, 5, b"a", ["a"], {"message": "a"}, Result(5), Result("a\ud800", 1)]  # type: ignore[arg-type]


def raising(error: BaseException) -> Callable[[Task], Any]:
    def handle(task: Task) -> str:
        raise error

    return handle


def returning(value: Any) -> Callable[[Task], Any]:
    def handle(task: Task) -> Any:
        return value

    return handle


def asynchronous(plain: Callable[[Task], Any]) -> Callable[[Task], Any]:
    async def handle(task: Task) -> Any:
        await asyncio.sleep(0)
        return plain(task)

    return handle


async def processor_does(
    handler: Callable[[Task], Any], attempt: int = 1, limit_seconds: float = 5, cancel_after: int | None = None
) -> tuple[str, Result | None]:
    """The outcome of one attempt of five in the processor."""
    requested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    count = 0

    async def publish(_text: str, _percent: float | None) -> bool:
        nonlocal count
        count += 1
        if count == cancel_after:
            requested.set_result(None)
            await asyncio.sleep(0.01)
        return True

    task = make_task(attempt=attempt, publish_progress=publish)
    policy = RetryPolicy(max_attempts=5, base_seconds=1, cap_seconds=1)
    async with call_of(handler) as call:
        runner = Runner(limit=9, on_limit=lambda: None)
        try:
            return "finished", await runner.run(task, call, limit_seconds, cancel_requested=requested)
        except HandlerCancelled:
            return "cancelled", None
        except Exception as error:  # noqa: BLE001 — classified as in the processor
            return "failed" if policy.should_dead_letter(failure_of(error), attempt) else "retried", None


@pytest.mark.parametrize("attempt", [1, 4, 5])
@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_has_the_outcome_that_it_has_in_the_processor(
    error: BaseException, in_thread: bool, attempt: int
) -> None:
    handler = raising(error) if in_thread else asynchronous(raising(error))
    expected = await processor_does(handler, attempt)
    ran = await run_async(handler, attempt=attempt)
    assert (ran.status, ran.result) == expected
    assert type(ran.error) is (RuntimeError if isinstance(error, StopIteration) and not in_thread else type(error))


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("value", [*INVALID, "text", *(Result("done", data) for data in DATA)], ids=lambda _: "")
async def test_a_result_has_the_outcome_that_it_has_in_the_processor(value: Any, in_thread: bool) -> None:
    handler = returning(value) if in_thread else asynchronous(returning(value))
    ran = await run_async(handler)
    assert (ran.status, ran.result) == await processor_does(handler)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=2)
    | st.uuids()
    | st.dates()
    | st.sampled_from([*Colour, *Ranked]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.tuples(children, children)
        | st.dictionaries(st.text() | st.integers() | st.none(), children, max_size=4)
    ),
    max_leaves=12,
)


@given(st.text(st.characters()), anything)
def test_any_value_is_stored_or_refused_as_in_the_processor(message: str, data: Any) -> None:
    result = Result(message, data)
    try:
        expected: Result | type[Exception] = checked_result(result)
    except (InvalidResultError, ResultTooLargeError) as error:
        expected = {InvalidResultError: NotJsonError, ResultTooLargeError: TooLargeError}[type(error)]
    try:
        stored: Result | type[Exception] = as_stored(result)
    except (NotJsonError, TooLargeError) as error:
        stored = type(error)
    assert stored == expected


async def stops(task: Task) -> str:
    await task.progress("one")
    await asyncio.sleep(60)
    return ""


async def finishes(task: Task) -> str:
    try:
        await stops(task)
    except asyncio.CancelledError:
        return f"kept {task.cancelled}"
    return ""


async def fails_in_cleanup(task: Task) -> str:
    try:
        await stops(task)
    finally:
        raise PermanentError("in the cleanup")


async def in_a_group(task: Task) -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(stops(task))
    return ""


async def never_notices(task: Task) -> str:
    await asyncio.shield(asyncio.ensure_future(task.progress("one")))
    return "done"


def in_thread_notices(task: Task) -> str:
    task.progress_from_thread("one")
    return "a part" if task.cancelled else "all"


def in_thread_does_not_notice(task: Task) -> str:
    task.progress_from_thread("one")
    return "all"


def in_thread_fails(task: Task) -> str:
    task.progress_from_thread("one")
    raise ValueError("a bug")


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (stops, "cancelled"),
        (finishes, "finished"),
        (fails_in_cleanup, "cancelled"),
        (in_a_group, "cancelled"),
        (never_notices, "cancelled"),
        (in_thread_notices, "cancelled"),
        (in_thread_does_not_notice, "finished"),
        (in_thread_fails, "cancelled"),
    ],
)
async def test_a_cancel_has_the_outcome_that_it_has_in_the_processor(handler: Any, status: str) -> None:
    ran = await run_async(handler, cancel_after_progress=1)
    assert ran.status == status
    assert ran.progress == [("one", None)]
    assert (ran.status, ran.result) == await processor_does(handler, cancel_after=1)


async def waits(task: Task) -> str:
    await asyncio.sleep(60)
    return ""


def waits_in_thread(task: Task) -> str:
    while not task.cancelled:
        time.sleep(0.001)
    return ""


@pytest.mark.parametrize("attempt", [1, 5])
@pytest.mark.parametrize("handler", [waits, waits_in_thread])
async def test_the_time_limit_has_the_outcome_that_it_has_in_the_processor(handler: Any, attempt: int) -> None:
    ran = await run_async(handler, attempt=attempt, timeout_seconds=0.05)
    assert isinstance(ran.error, TimeoutError)
    assert (ran.status, ran.result) == await processor_does(handler, attempt, limit_seconds=0.05)


def test_a_handler_gets_its_task() -> None:
    async def handle(task: Task) -> Result:
        await task.progress("half", 50)
        return Result(f"{task.type} {task.data} {task.fields} {task.user_id}", [task.attempt, task.max_attempts])

    ran = run(handle, [1], fields={"month": "May"}, user_id="ada", type="report", attempt=2, max_attempts=3)
    assert ran.result == Result("report [1] {'month': 'May', 'data': [1]} ada", [2, 3])
    assert ran.progress == [("half", 50)]
    assert (ran.status, ran.error) == ("finished", None)


def test_the_limits_of_the_type_are_used() -> None:
    handlers = Handlers()

    @handlers.register(timeout_seconds=0.05, max_attempts=2)
    async def handle(task: Task) -> str:
        assert time.time() < task.deadline < time.time() + 1
        await asyncio.sleep(60)
        return ""

    assert run(handlers).status == "retried"
    assert run(handlers, attempt=2).status == "failed"
    assert run(handlers, attempt=2, max_attempts=3).status == "retried"


@pytest.mark.parametrize("names", [["default"], ["only"], ["default", "other"]])
def test_the_type_may_be_left_out_if_it_is_clear(names: list[str]) -> None:
    handlers = Handlers()
    for name in names:
        handlers.register(name)(lambda task: task.type)
    assert run(handlers).result == Result(names[0])
    assert run(handlers, type=names[-1]).result == Result(names[-1])


@pytest.mark.parametrize(("names", "asked"), [(["a", "b"], None), (["a", "b"], "c"), ([], None)])
def test_a_type_that_is_not_registered_is_refused_with_those_that_are(names: list[str], asked: str | None) -> None:
    handlers = Handlers()
    for name in names:
        handlers.register(name)(lambda task: "")
    with pytest.raises(ValueError, match=r"pass one of (a, b|\(none\)) as `type`"):
        run(handlers, type=asked)


class Counted:
    """Sets itself up and tears itself down."""

    calls: list[str]

    async def __aenter__(self) -> "Counted":
        self.calls = ["entered"]
        Counted.calls = self.calls
        return self

    async def __aexit__(self, *_: object) -> None:
        self.calls.append("left")

    def setup(self) -> None:
        self.calls.append("set up")

    async def teardown(self) -> None:
        self.calls.append("torn down")

    def __call__(self, task: Task) -> str:
        self.calls.append("called")
        return "done"


@pytest.mark.parametrize("handler", [Counted, Counted()])
def test_a_handler_that_is_an_object_is_set_up_and_torn_down(handler: Any) -> None:
    assert run(handler).status == "finished"
    assert Counted.calls == ["entered", "set up", "called", "torn down", "left"]


def test_what_setup_raises_is_raised() -> None:
    class NoDatabase(Counted):
        def setup(self) -> None:
            raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        run(NoDatabase)


def test_what_cannot_be_a_handler_is_refused_as_when_it_is_registered() -> None:
    with pytest.raises(ValueError, match="must take one argument, the task"):
        run(lambda: "")


async def test_in_an_async_def_run_names_what_to_use() -> None:
    with pytest.raises(RuntimeError, match=r"await run_async\(\.\.\.\)"):
        run(waits)


def test_a_result_that_is_too_large_says_so() -> None:
    ran = run(lambda task: "x" * 600_000)
    assert ran.status == "failed"
    assert isinstance(ran.error, PermanentError)
    assert "larger than 512 KiB" in str(ran.error)
    assert ran.error.public is not None


def test_a_number_of_a_class_of_its_own_is_checked_at_once() -> None:
    class Number(int):
        pass

    assert as_stored(Result("done", data={"rows": Number(3)})).data == {"rows": 3}
