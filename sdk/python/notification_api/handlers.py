"""The registry of handlers: which function does which type of task, and with which limits."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar, cast

from notification_api.task import DEFAULT_TYPE

MAX_TYPES = 50
"""Every type is a label value of several metrics."""
LONGEST_TIMEOUT_SECONDS = 39_600
"""SQS hides a message for at most 12 hours; the last of them is for storing and publishing the result."""
MOST_ATTEMPTS = 100
LONGEST_BACKOFF_BASE_SECONDS = 3_600
LONGEST_BACKOFF_CAP_SECONDS = 43_200

TYPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A handler of one task type. A limit that is None is the stage's."""

    type: str
    handler: Callable[..., Any]
    """A function, an object that can be called, or a class whose instances can be."""
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    concurrency: int | None = None
    """Tasks of the type that one replica runs at once."""
    backoff_base_seconds: float | None = None
    backoff_cap_seconds: float | None = None

    @property
    def is_asynchronous(self) -> bool:
        """Whether the handler runs in the event loop, not in a thread."""
        if inspect.iscoroutinefunction(self.handler):
            return True
        called = self.handler if inspect.isclass(self.handler) else type(self.handler)
        return inspect.iscoroutinefunction(getattr(called, "__call__", None))  # noqa: B004

    def create(self) -> Callable[..., Any]:
        """Return what to call with a task: of a class a new instance, else the handler itself."""
        return cast("Callable[..., Any]", self.handler() if inspect.isclass(self.handler) else self.handler)


class Handlers(Mapping[str, Registration]):
    """The handlers of a processor by task type. `TASK_HANDLER=module:name` names it."""

    def __init__(self) -> None:
        self._by_type: dict[str, Registration] = {}

    def register(
        self,
        type: str = DEFAULT_TYPE,  # noqa: A002 — the word that users of the API know
        *,
        timeout_seconds: float | None = None,
        max_attempts: int | None = None,
        concurrency: int | None = None,
        backoff_base_seconds: float | None = None,
        backoff_cap_seconds: float | None = None,
    ) -> Callable[[H], H]:
        """Return a decorator that registers a handler; it returns the handler unchanged.

        The handler is a function, an object with `__call__`, or a class, which is instantiated without arguments.

        :param type: the tasks that it does: those whose request body has this `type`.
        :param timeout_seconds: the time limit of an attempt, up to 39,600.
        :param max_attempts: attempts in all, the first included, up to 100.
        :param concurrency: tasks of this type that one replica runs at once.
        :param backoff_base_seconds: the longest pause after the first failed attempt; it doubles with each further one.
        :param backoff_cap_seconds: the longest pause after any attempt.
        :raises ValueError: when a value cannot be used, or the type is registered already.
        """
        _check_type(type)
        _check_number("timeout_seconds", timeout_seconds, most=LONGEST_TIMEOUT_SECONDS, above_least=True)
        _check_whole("max_attempts", max_attempts, most=MOST_ATTEMPTS)
        _check_whole("concurrency", concurrency, most=None)
        _check_number("backoff_base_seconds", backoff_base_seconds, most=LONGEST_BACKOFF_BASE_SECONDS)
        _check_number("backoff_cap_seconds", backoff_cap_seconds, most=LONGEST_BACKOFF_CAP_SECONDS)

        def decorator(handler: H) -> H:
            self._add(
                Registration(
                    type=type,
                    handler=handler,
                    timeout_seconds=timeout_seconds,
                    max_attempts=max_attempts,
                    concurrency=concurrency,
                    backoff_base_seconds=backoff_base_seconds,
                    backoff_cap_seconds=backoff_cap_seconds,
                )
            )
            return handler

        return decorator

    def __getitem__(self, type: str) -> Registration:  # noqa: A002
        return self._by_type[type]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_type)

    def __len__(self) -> int:
        return len(self._by_type)

    def _add(self, registration: Registration) -> None:
        check_callable(registration.handler)
        registered = self._by_type.get(registration.type)
        if registered is not None:
            raise ValueError(
                f"the task type {registration.type!r} is registered already, for {_name(registered.handler)}:"
                f" give {_name(registration.handler)} another type"
            )
        if len(self._by_type) >= MAX_TYPES:
            raise ValueError(
                f"there are {MAX_TYPES} task types already, and each is a label value of metrics:"
                " let one type distinguish its tasks by a field of the request body"
            )
        self._by_type[registration.type] = registration


def check_callable(handler: Any, name: str = "") -> None:
    """:raises ValueError: when the handler cannot be called with a task; the message says what to change."""
    name = name or _name(handler)
    if not callable(handler):
        raise ValueError(f"{name} cannot be called: a handler is a function or an object with `__call__`")  # noqa: TRY004
    called: Callable[..., Any] = handler
    arguments = [object()]
    if inspect.isclass(handler):
        if not any("__call__" in vars(each) for each in handler.__mro__):
            raise ValueError(f"{name} needs a method `__call__(self, task)`")
        if not _accepts(handler):
            raise ValueError(f"{name} must be instantiable without arguments: register an instance instead")
        called = handler.__call__
        arguments.append(object())
    if not _accepts(called, *arguments):
        raise ValueError(f"{name} must take one argument, the task")


def _accepts(function: Callable[..., Any], *arguments: object) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def _check_type(name: object) -> None:
    if callable(name):
        raise ValueError("write `@handlers.register()` with parentheses")  # noqa: TRY004
    if not isinstance(name, str) or not TYPE_NAME.fullmatch(name):
        raise ValueError(
            f"the task type {name!r} cannot be used: it must be 1 to 64 letters, digits, '.', '_' or '-', and begin"
            " with a letter or digit"
        )


def _check_number(name: str, value: object, *, most: float, above_least: bool = False) -> None:
    if value is None:
        return
    if not _is_number(value) or not 0 <= value <= most or (above_least and value == 0):
        least = "above 0" if above_least else "at least 0"
        raise ValueError(f"{name} must be a number, {least} and at most {most:,}, not {value!r}")


def _check_whole(name: str, value: object, *, most: int | None) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
        limit = "at least 1" if most is None else f"from 1 to {most}"
        raise ValueError(f"{name} must be a whole number, {limit}, not {value!r}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(handler: object) -> str:
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}.{named.__qualname__}"
