"""Errors with which the run of a handler ends, besides those that the handler itself raises."""

from notification_api import PermanentError
from services.common.error_text import leaf_errors
from services.common.messages.notification import MAX_BYTES, without_surrogates


class HandlerAborted(RuntimeError):
    """A handler raised an error that cannot be passed on; that error is its cause.

    It would end the event loop, such as SystemExit, or refuses that its traceback is set.
    """


class HandlerCancelled(BaseException):
    """The handler ended without a result after its user had cancelled the task; its error, if any, is the cause.

    Not an `Exception`, so that no `except Exception` takes it for a failed attempt. A handler that raises it itself has
    failed: what ends more than a handler's own task, as BaseExceptions may, is wrapped in `HandlerAborted`.
    """


class InvalidResultError(PermanentError):
    """A handler returned something that is neither text nor a `Result` with JSON as its data."""


class ResultTooLargeError(PermanentError):
    """A handler returned more than can be stored."""


def public_text(error: BaseException) -> str | None:
    """Return what the user may read about a failed task: the `public` text of the first PermanentError that has one.

    Groups are searched, and the cause of `HandlerAborted`.
    """
    cause = error.__cause__ if type(error) is HandlerAborted else None
    for each in leaf_errors(error if cause is None else cause):
        if issubclass(type(each), PermanentError) and (text := _public(each)):
            return text
    return None


def _public(error: BaseException) -> str | None:
    try:
        text = error.public  # type: ignore[attr-defined]
    except BaseException:  # noqa: BLE001 — a subclass may define it as a property that raises anything
        return None
    if not issubclass(type(text), str):
        return None
    # A plain string, without the methods of the handler's own class, and no longer than can be published.
    return without_surrogates(str.__getitem__(text, slice(MAX_BYTES)))
