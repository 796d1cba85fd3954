"""Registering handlers: what is refused, and how the message helps."""

import functools
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.plan import ROOT
from notification_api import Handlers, Result, Task
from notification_api.handlers import LONGEST_TIMEOUT_SECONDS, MAX_TYPES


async def asynchronous(task: Task) -> str:
    return "done"


def plain(task: Task) -> Result:
    return Result("done")


class Instances:
    async def __call__(self, task: Task) -> str:
        return "done"


class PlainInstances:
    def __call__(self, task: Task) -> str:
        return "done"


@pytest.mark.parametrize(
    ("handler", "is_asynchronous"),
    [
        (asynchronous, True),
        (plain, False),
        (functools.partial(asynchronous), True),
        (Instances, True),
        (Instances(), True),
        (PlainInstances, False),
        (PlainInstances(), False),
        (lambda task: "done", False),
    ],
)
def test_functions_objects_and_classes_can_be_handlers(handler: Any, is_asynchronous: bool) -> None:
    handlers = Handlers()
    assert handlers.register("report", timeout_seconds=3)(handler) is handler
    assert list(handlers) == ["report"]
    assert handlers["report"].handler is handler
    assert handlers["report"].timeout_seconds == 3
    assert handlers["report"].is_asynchronous == is_asynchronous


def test_a_class_is_instantiated_when_it_is_used() -> None:
    handlers = Handlers()
    handlers.register()(Instances)
    first, second = handlers["default"].create(), handlers["default"].create()
    assert type(first) is Instances
    assert first is not second


def test_an_object_is_used_as_it_is() -> None:
    handlers, handler = Handlers(), Instances()
    handlers.register()(handler)
    assert handlers["default"].create() is handler


def test_the_limits_are_the_stages_unless_they_are_given() -> None:
    handlers = Handlers()
    handlers.register()(plain)
    one = handlers["default"]
    given_limits = (one.timeout_seconds, one.max_attempts, one.concurrency, one.backoff_base_seconds)
    assert (*given_limits, one.backoff_cap_seconds) == (None,) * 5


@pytest.mark.parametrize("name", ["default", "a", "0", "A.b_c-1", "x" * 64])
def test_names_of_types(name: str) -> None:
    Handlers().register(name)


@pytest.mark.parametrize("name", ["", " ", ".a", "-a", "_a", "a b", "a/b", "ä", "x" * 65, "a\n", None, 5, b"a"])
def test_names_that_cannot_be_used_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be used: it must be 1 to 64 letters, digits, '\.', '_' or '-'"):
        Handlers().register(name)


@given(st.text(max_size=70))
def test_a_name_is_accepted_exactly_if_it_can_be_a_metric_label_and_part_of_a_url(name: str) -> None:
    ascii_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    is_valid = 1 <= len(name) <= 64 and name[0] in ascii_letters and set(name) <= {*ascii_letters, *"._-"}
    try:
        Handlers().register(name)
    except ValueError:
        assert not is_valid
    else:
        assert is_valid


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        *(("timeout_seconds", value) for value in (0, -1, 39_600.1, float("nan"), float("inf"), True, "5", 10**400)),
        *(("max_attempts", value) for value in (0, -1, 101, 2.0, True, "5")),
        *(("concurrency", value) for value in (0, -1, 1.5, True, "5")),
        *(("backoff_base_seconds", value) for value in (-0.1, 3_600.1, float("nan"), False, "5")),
        *(("backoff_cap_seconds", value) for value in (-0.1, 43_200.1, float("inf"), "5")),
    ],
)
def test_limits_that_cannot_be_used_are_refused(limit: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{limit} must be a (whole )?number, .+, not "):
        Handlers().register(**{limit: value})


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        *(("timeout_seconds", value) for value in (0.001, 1, LONGEST_TIMEOUT_SECONDS)),
        *(("max_attempts", value) for value in (1, 100)),
        *(("concurrency", value) for value in (1, 100_000)),
        *(("backoff_base_seconds", value) for value in (0, 3_600)),
        *(("backoff_cap_seconds", value) for value in (0, 43_200)),
    ],
)
def test_limits(limit: str, value: Any) -> None:
    handlers = Handlers()
    handlers.register(**{limit: value})(plain)
    assert getattr(handlers["default"], limit) == value


def test_a_type_is_registered_once() -> None:
    handlers = Handlers()
    handlers.register("report")(asynchronous)
    with pytest.raises(
        ValueError,
        match=r"'report' is registered already, for \S+\.asynchronous: give \S+\.plain another type",
    ):
        handlers.register("report")(plain)
    assert handlers["report"].handler is asynchronous


def test_there_are_at_most_fifty_types() -> None:
    handlers = Handlers()
    for number in range(MAX_TYPES):
        handlers.register(f"type-{number}")(plain)
    with pytest.raises(ValueError, match=r"50 task types already.+a field of the request body"):
        handlers.register("one-more")(plain)


class NeedsAnArgument:
    def __init__(self, needed: int) -> None: ...

    def __call__(self, task: Task) -> str:
        return ""


class NoCall: ...


class TakesNothing:
    def __call__(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (5, "builtins.int cannot be called: a handler is a function or an object with `__call__`"),
        (lambda: "", "must take one argument, the task"),
        (lambda one, two: "", "must take one argument, the task"),
        (NeedsAnArgument, "must be instantiable without arguments: register an instance instead"),
        (NoCall, "needs a method `__call__(self, task)`"),
        (NoCall(), "cannot be called"),
        (TakesNothing, "must take one argument, the task"),
        (TakesNothing(), "must take one argument, the task"),
    ],
)
def test_what_cannot_be_called_with_a_task_is_refused(handler: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"task|cannot be called|without arguments") as refused:
        Handlers().register()(handler)
    assert sentence in str(refused.value)


def test_forgotten_parentheses_are_named() -> None:
    handlers = Handlers()
    with pytest.raises(ValueError, match=r"@handlers.register\(\)"):
        handlers.register(plain)  # type: ignore[arg-type]


def test_the_handler_api_needs_the_standard_library_only() -> None:
    program = (
        "import sys; sys.path.insert(0, 'sdk/python'); import notification_api.testing;"
        " foreign = {each.partition('.')[0] for each in sys.modules} - sys.stdlib_module_names - {'notification_api'};"
        " assert foreign <= {'__main__'}, foreign"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd=ROOT, check=True)
