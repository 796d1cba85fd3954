"""The base errors. They say what the caller should do, are raised where known and translated once at the boundary."""


class Transient(Exception):
    """The operation failed, but the same call may succeed later: retry, or answer 503."""

    retry_after_seconds: float = 1.0
    """The shortest wait before a retry."""
    public_detail: str = "The service is briefly unavailable. Try again."
    """The text for clients. The error's own message is for the log."""


class PermanentError(Exception):
    """The operation can never succeed as requested: do not retry, report it or send it to the dead-letter queue."""
