"""The base errors of all services: the same classes that a task handler raises."""

from notification_api import PermanentError, TransientError

__all__ = ["PermanentError", "TransientError"]
