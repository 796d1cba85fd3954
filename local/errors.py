"""The base error of the local stack."""


class LocalError(Exception):
    """A problem that the developer can solve. The message is shown without a traceback."""
