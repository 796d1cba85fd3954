"""Why a call of the client failed. The messages can be shown to the person who made the call."""


class NotificationApiError(Exception):
    """The base of all errors of this client."""


class UnexpectedResponseError(NotificationApiError):
    """A service answered something other than success.

    :ivar status: the status of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class CognitoError(NotificationApiError):
    """Cognito rejected a call.

    :ivar code: its name for the reason, such as `NotAuthorizedException`.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"Cognito rejected {operation}: {code}: {message}")
        self.code = code


class SrpError(NotificationApiError):
    """The challenge is not a valid SRP challenge. Answering it would reveal the password."""


class InvalidTokenError(NotificationApiError):
    """The token service answered a token that is not a Momento disposable token."""


class SubscriptionRefusedError(NotificationApiError):
    """Momento refused the subscription."""
