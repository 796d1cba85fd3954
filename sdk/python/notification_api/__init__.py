"""The handler API: what a task handler imports from Notification API.

It owns `Task`, which a handler receives, and the errors that a handler may raise. It depends on the standard library
alone, so that handlers and their tests can import it anywhere. The sub-package `client` is a client of a running stage
and has dependencies of its own; nothing here imports it. Loading and running handlers belongs to `services.processor`.
"""

from notification_api.errors import PermanentError, TransientError
from notification_api.task import Task

__all__ = ["PermanentError", "Task", "TransientError"]
