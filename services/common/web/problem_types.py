"""The kinds of problems that the HTTP APIs answer with: the `type`, `title` and `status` of problem+json (RFC 9457).

`docs/reference/openapi.yaml` says which route has which. A type is never renamed or removed, since clients compare it.
"""

from enum import Enum
from http import HTTPStatus

PREFIX = "urn:notification-api:problem:"


class ProblemType(Enum):
    """A kind of problem; each has one status."""

    MALFORMED_REQUEST = HTTPStatus.BAD_REQUEST, "Malformed request"
    INCOMPLETE_BODY = HTTPStatus.BAD_REQUEST, "Incomplete body"
    INVALID_BODY = HTTPStatus.BAD_REQUEST, "Invalid body"
    INVALID_CURSOR = HTTPStatus.BAD_REQUEST, "Invalid cursor"
    INVALID_IDEMPOTENCY_KEY = HTTPStatus.BAD_REQUEST, "Invalid idempotency key"
    UNKNOWN_TASK_TYPE = HTTPStatus.BAD_REQUEST, "Unknown task type"
    INVALID_ID_TOKEN = HTTPStatus.UNAUTHORIZED, "Invalid id token"
    PATH_NOT_FOUND = HTTPStatus.NOT_FOUND, "Path not found"
    HISTORY_DISABLED = HTTPStatus.NOT_FOUND, "Notification history disabled"
    TASK_NOT_FOUND = HTTPStatus.NOT_FOUND, "Task not found"
    RESULT_NOT_READY = HTTPStatus.NOT_FOUND, "Result not ready"
    NO_RESULT = HTTPStatus.NOT_FOUND, "No result"
    METHOD_NOT_ALLOWED = HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"
    BODY_TIMEOUT = HTTPStatus.REQUEST_TIMEOUT, "Body timeout"
    TASK_ENDED = HTTPStatus.CONFLICT, "Task ended"
    RESULT_EXPIRED = HTTPStatus.GONE, "Result expired"
    BODY_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Body too large"
    TASK_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Task too large"
    URI_TOO_LONG = HTTPStatus.REQUEST_URI_TOO_LONG, "URI too long"
    UNSUPPORTED_MEDIA_TYPE = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"
    MISDIRECTED_REQUEST = HTTPStatus.MISDIRECTED_REQUEST, "Misdirected request"
    IDEMPOTENCY_KEY_REUSED = HTTPStatus.UNPROCESSABLE_ENTITY, "Idempotency key reused"
    RATE_LIMITED = HTTPStatus.TOO_MANY_REQUESTS, "Rate limited"
    TOO_MANY_CANCEL_REQUESTS = HTTPStatus.TOO_MANY_REQUESTS, "Too many cancel requests"
    HEADERS_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large"
    INTERNAL_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"
    OVERLOADED = HTTPStatus.SERVICE_UNAVAILABLE, "Overloaded"
    TIMED_OUT = HTTPStatus.SERVICE_UNAVAILABLE, "Timed out"
    UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable"

    def __init__(self, status: HTTPStatus, title: str) -> None:
        self.status = status
        self.title = title

    @property
    def uri(self) -> str:
        """The `type`: a URN, since the project has no domain whose URLs would stay."""
        return PREFIX + self.name.lower().replace("_", "-")
