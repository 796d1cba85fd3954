"""Why a demonstration did not come to its end."""

from local.errors import LocalError


class DemoError(LocalError):
    """The stack did not do what it should; the text says what was expected."""


class NotRunningError(DemoError):
    """Nothing answers where the stack should be."""
