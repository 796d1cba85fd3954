"""Base errors: they tell the caller what to do. Raised where known, translated once at the border."""


class Transient(Exception):
    """The operation failed for now: the same call may succeed later, so retry or answer 503."""

    retry_after_seconds: float = 1.0
    """When it is worth trying again."""
    public_detail: str = "The service is briefly unavailable. Try again."
    """What a client may read; the error's own message is for the log."""


class PermanentError(Exception):
    """The operation can never succeed as asked: do not retry, report it and set it aside."""
