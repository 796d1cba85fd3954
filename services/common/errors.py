"""Base types of the errors that say what the caller should do."""


class Transient(Exception):
    """It may work later: try again after a pause, or answer 503 with Retry-After."""


class PermanentError(Exception):
    """It will never work as it stands: do not try again, set the task aside or refuse the request."""
