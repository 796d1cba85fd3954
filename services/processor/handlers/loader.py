"""Finds the adopter's handlers by name."""

import importlib
import logging
from collections.abc import Callable
from typing import Any

from notification_api import Handlers
from notification_api.handlers import check_callable
from services.common.error_text import describe_error, describe_traceback
from services.common.settings import SettingsError

logger = logging.getLogger(__name__)


def find_handlers(name: str) -> Handlers:
    """Import ``module:name``: a `Handlers`, or a function, which is the handler of the type `default`.

    :raises SettingsError: when it cannot be used; the message names the cause.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute, None)
    except ImportError as error:
        raise unusable(f"{module_name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # an adopter's module may do anything when it is imported
        logger.error(  # noqa: TRY400 — logging may fail to format the error itself
            "the handler's module fails", extra={"action": "start", "exception": describe_traceback(error)}
        )
        raise unusable(f"{module_name} cannot be imported: {describe_error(error)}") from error
    if isinstance(found, Handlers):
        if not found:
            raise unusable(f"{name} has no handler: register at least one with @{attribute}.register()")
        return found
    if not callable(found):
        raise unusable(f"{module_name} has no function {attribute}")
    return _handlers_of(found, name)


def _handlers_of(function: Callable[..., Any], name: str) -> Handlers:
    try:
        check_callable(function, name)
    except ValueError as error:
        raise unusable(f"{error}") from error
    handlers = Handlers()
    handlers.register()(function)
    return handlers


def unusable(reason: str) -> SettingsError:
    """Return the error of a handler that cannot be used."""
    return SettingsError({"TASK_HANDLER": [reason]})
