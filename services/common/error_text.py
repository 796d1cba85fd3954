"""Text of exceptions that a handler raised: bounded in length, and never raising itself.

A handler's exception may have a `__str__` that raises or returns megabytes, and may be nested without end. The log and
the dead letter must still explain the failure.
"""

import traceback
from collections.abc import Iterator
from typing import Any

MAX_MESSAGE = 2_000
"""Characters kept of one error's message."""
MAX_NAME = 200
MAX_ERRORS = 10
"""Errors of a chain or group that are described."""
MAX_LEAVES = 100_000
"""Errors and groups that are visited."""
MAX_CHARACTERS = 16_000
"""Length of one failure's whole text; the error itself comes first."""
MAX_FRAMES = 30
"""Innermost frames kept of a traceback."""


def describe_error(error: BaseException, max_characters: int = MAX_MESSAGE) -> str:
    """Return ``Type: message``, cut at `max_characters`."""
    name = type_name(error)
    try:
        text = _plain(str(error), max_characters)
    except BaseException:  # noqa: BLE001 — its `__str__` may raise anything
        text = "(its message cannot be read)"
    return f"{name}: {text}"[:max_characters] if text else name


def type_name(value: object) -> str:
    """Return the name of an object's class, bounded and valid in UTF-8."""
    try:
        return _plain(type(value).__name__, MAX_NAME).encode(errors="replace").decode()
    except BaseException:  # noqa: BLE001 — a metaclass may do anything
        return "an object without a name"


def describe_traceback(error: BaseException) -> str:
    """Return the tracebacks and messages of an error, its causes and its group members."""
    return "\n".join(_lines(each) for each in _first(error))[:MAX_CHARACTERS]


def leaf_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group at any depth, or the error itself; each once, in order, at most `MAX_LEAVES`."""
    waiting, seen = [error], set[int]()
    for left in range(MAX_LEAVES, 0, -1):
        if not waiting:
            return
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if issubclass(type(each), BaseExceptionGroup):
            waiting.extend(reversed(_members(each)[:left]))
        else:
            yield each


def _first(error: BaseException) -> list[BaseException]:
    """Return the error, then its causes and members, breadth first, at most `MAX_ERRORS`."""
    found, seen = [error], {id(error)}
    for each in found:
        for other in (*_causes(each), *_members(each)[:MAX_ERRORS]):
            if len(found) < MAX_ERRORS and id(other) not in seen:
                found.append(other)
                seen.add(id(other))
    return found


def _causes(error: BaseException) -> list[BaseException]:
    cause = _read(error, "__cause__")
    if cause is None and not _read(error, "__suppress_context__"):
        cause = _read(error, "__context__")
    return [] if cause is None else [cause]


def _read(error: BaseException, name: str) -> Any:
    """Read an attribute with BaseException's descriptor, since a subclass may override it and raise."""
    return vars(BaseException)[name].__get__(error)


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(error)
    return members


def _lines(error: BaseException) -> str:
    try:
        frames = "".join(traceback.format_tb(_read(error, "__traceback__"), limit=-MAX_FRAMES))
    except BaseException:  # noqa: BLE001 — the source comes from the module's loader, which may raise anything
        frames = "  (its frames cannot be read)\n"
    return f"Traceback (most recent call last):\n{frames}{describe_error(error)}"


def _plain(text: str, max_characters: int) -> str:
    """Return an exact `str`: `str(error)` may be a subclass with the handler's own methods."""
    return str.__getitem__(text, slice(max_characters))
