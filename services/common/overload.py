"""The error of a limit that all users share."""

from notification_api import TransientError


class OverloadedError(TransientError):
    """More is asked for than a limit of all users together permits."""
