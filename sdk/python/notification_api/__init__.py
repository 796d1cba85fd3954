"""The handler API: what a task handler imports from Notification API.

It owns `Handlers`, the registry of handlers by task type, `Task`, which a handler receives, `Result`, which it may
return, the errors that it may raise, and `testing`, which runs a handler in a test. It depends on the standard library
alone, so that handlers and their tests can import it anywhere. The sub-package `client` is a client of a running stage
and has dependencies of its own; nothing here imports it. Loading and running handlers belongs to `services.processor`.
"""

from notification_api.errors import PermanentError, TransientError
from notification_api.handlers import Handlers
from notification_api.result import Result
from notification_api.task import Task

__all__ = ["Handlers", "PermanentError", "Result", "Task", "TransientError"]
