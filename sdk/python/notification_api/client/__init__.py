"""A client of a running stage: submit tasks, wait for them, receive notifications. It needs the extra `client`.

It owns `NotificationApi`, the same without `async` as `SyncNotificationApi`, and signing in to Cognito for programs
that have no other sign-in. It does what the browser's package does, over the same routes, and gRPC instead of gRPC-web.
Reading mailed codes, which only the local stack permits, belongs to `local.demo`.
"""

try:
    import aiohttp as _aiohttp  # noqa: F401
    import grpc.aio as _grpc  # noqa: F401
    import momento_wire_types as _momento_wire_types  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"notification_api.client needs {error.name}: install notification-api-sdk with its extra `client`, such as"
        ' `pip install "./sdk/python[client]"`',
        name=error.name,
    ) from error

from notification_api.client.api import NotificationApi, SubmittedTask
from notification_api.client.config import StageConfig
from notification_api.client.errors import (
    NotificationApiError,
    NotTheApiError,
    ServiceError,
    SignedOutError,
    SlowConsumerError,
    TaskCancelledError,
    TaskEndedError,
    TaskExpiredError,
    TaskFailedError,
    UnreachableError,
)
from notification_api.client.notification import Notification
from notification_api.client.routes import HistoryPage
from notification_api.client.sign_in import (
    Credentials,
    UserTokens,
    confirm_sign_up,
    resend_confirmation_code,
    sign_in,
    sign_up,
)
from notification_api.client.sync import SyncNotificationApi, SyncSubmittedTask
from notification_api.client.tasks import TaskResult, TaskStatus

__all__ = [
    "Credentials",
    "HistoryPage",
    "NotTheApiError",
    "Notification",
    "NotificationApi",
    "NotificationApiError",
    "ServiceError",
    "SignedOutError",
    "SlowConsumerError",
    "StageConfig",
    "SubmittedTask",
    "SyncNotificationApi",
    "SyncSubmittedTask",
    "TaskCancelledError",
    "TaskEndedError",
    "TaskExpiredError",
    "TaskFailedError",
    "TaskResult",
    "TaskStatus",
    "UnreachableError",
    "UserTokens",
    "confirm_sign_up",
    "resend_confirmation_code",
    "sign_in",
    "sign_up",
]
