"""Why nothing can be forwarded."""

from local.errors import LocalError


class ForwardError(LocalError):
    """The cluster, the stage or a port is not what it should be; the text says what to do."""
