"""Errors of the demonstration."""

from local.errors import LocalError


class DemoError(LocalError):
    """The stack did not do what it should. The message says what was expected."""
