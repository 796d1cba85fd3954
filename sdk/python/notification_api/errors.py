"""Errors that say whether to retry."""


class TransientError(Exception):
    """The operation failed for now. The same call may succeed later: retry it, or answer 503."""

    retry_after_seconds: float = 1.0
    """The earliest time at which a retry is worthwhile."""
    public_detail: str = "The service is briefly unavailable. Try again."
    """What a client may read. The error's own message is for the log."""


class PermanentError(Exception):
    """The operation can never succeed as requested. Do not retry it; a task that raises it is dead-lettered.

    :param args: for the log and the dead letter. The user never reads them.
    :param public: what the user may read, such as "The file is not a PDF".
    """

    public: str | None = None

    def __init__(self, *args: object, public: str | None = None) -> None:
        super().__init__(*args)
        if public is not None:
            self.public = public
