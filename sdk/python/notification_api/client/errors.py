"""Why a call of the client failed.

Decide by `code` and `retryable`. The messages can be shown to the person who made the call.
"""

from http import HTTPStatus


class NotificationApiError(Exception):
    """The base of all errors of this client.

    :ivar code: the condition, in one word for programs.
    :ivar retryable: whether the same call may succeed later.
    :ivar status: the HTTP status, where a service answered.
    :ivar detail: what the service says about it.
    :ivar type: the URI of the problem's type (docs: HTTP API).
    :ivar request_id: finds the request in the services' logs.
    :ivar retry_after_seconds: the service asks for no other call before this time.
    """

    code: str = "failed"
    retryable: bool = False
    status: int | None = None
    detail: str | None = None
    type: str | None = None
    request_id: str | None = None
    retry_after_seconds: float | None = None


class ServiceError(NotificationApiError):
    """A service answered something other than success."""

    status: int

    def __init__(
        self,
        message: str,
        status: int,
        *,
        detail: str | None = None,
        type: str | None = None,  # noqa: A002 — the word of RFC 9457
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = _code_of(status)
        self.retryable = is_retryable(status)
        self.detail = detail
        self.type = type
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


class NotTheApiError(ServiceError):
    """Something other than the API answers at this URL, such as a web page or a gateway."""

    def __init__(self, message: str, status: int, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, status, retry_after_seconds=retry_after_seconds)
        self.code = "not_the_api"


class SignedOutError(ServiceError):
    """The id token is refused, and there is no other one."""


class IdTokenError(NotificationApiError):
    """The application's own function for id tokens failed or returned something else."""

    code = "id_token"
    retryable = True


class UnreachableError(NotificationApiError):
    """No answer: the network failed, or it took too long."""

    code = "network"
    retryable = True


class StreamError(NotificationApiError):
    """The stream of notifications broke or ended. The client opens another one by itself."""

    code = "stream"
    retryable = True


class SubscriptionRefusedError(StreamError):
    """Momento refused the subscription.

    :ivar reason: the name of the gRPC status, such as `PERMISSION_DENIED`.
    """

    code = "subscription_refused"

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"Momento refused the subscription: {reason}: {details}")
        self.reason = reason


class InvalidTokenError(NotificationApiError):
    """The token service answered a token that is not a Momento disposable token."""

    code = "invalid_token"
    retryable = True


class SlowConsumerError(NotificationApiError):
    """The iterator of notifications fell too far behind. Those after the last one that it returned were dropped."""

    code = "slow_consumer"


class TaskEndedError(NotificationApiError):
    """The task has ended otherwise than finished. It will not be run again.

    :ivar reason: why, such as `max_attempts`; None where the service gives no reason.
    """

    def __init__(self, message: str, task_id: str, *, detail: str | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.detail = detail
        self.reason = reason


class TaskFailedError(TaskEndedError):
    """The task has failed. `detail` is what its handler lets the user read."""

    code = "task_failed"


class TaskCancelledError(TaskEndedError):
    """The task has been cancelled."""

    code = "task_cancelled"


class TaskExpiredError(TaskEndedError):
    """The task was not started within its time to live."""

    code = "task_expired"


class CognitoError(NotificationApiError):
    """Cognito rejected a call.

    :ivar code: its name for the reason, such as `NotAuthorizedException`.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"Cognito rejected {operation}: {code}: {message}")
        self.code = code


class SrpError(NotificationApiError):
    """The challenge is not a valid SRP challenge. Answering it would reveal the password."""

    code = "invalid_challenge"


_CODES = {
    HTTPStatus.UNAUTHORIZED: "signed_out",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.GONE: "gone",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}


def is_retryable(status: int) -> bool:
    """Return whether a call that was answered with this status may succeed later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }


def _code_of(status: int) -> str:
    if status in _CODES:
        return _CODES[HTTPStatus(status)]
    return "unavailable" if is_retryable(status) else "invalid_request"
