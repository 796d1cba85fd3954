"""What can go wrong with a call on a queue, and what SQS' error codes mean."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from services.common.batcher import BatchRefusedError
from services.common.errors import PermanentError, Transient
from services.common.telemetry.faults import Cause, Fault


class QueueUnavailable(Transient):
    """SQS did not do it this time."""

    public_detail = "The task queue is briefly unavailable. Try again."


class QueueAnswerLost(QueueUnavailable):
    """Nobody knows whether SQS did it: no answer came, or none that says so. Tried again, it may be done twice."""


class QueueAccessDenied(QueueUnavailable):
    """We are not permitted to make this call."""


class QueueCredentialsRefused(QueueUnavailable):
    """AWS does not accept our credentials, whatever the call."""


class QueueNotFound(QueueUnavailable):
    """There is no such queue."""


class QueueRefused(PermanentError):
    """SQS will never take this entry."""


class MessageTooLarge(QueueRefused):
    """SQS will never take this message since it is larger than the queue's MaximumMessageSize.

    `limit_bytes` is that size where SQS has said it.
    """

    def __init__(self, message: str, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(message)


class ReceiptExpired(PermanentError):
    """The receipt handle is no longer valid for the message: its lease is lost."""


RECEIPT_CODES = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException"})
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_CREDENTIALS_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MISSING_CODES = frozenset({"NonExistentQueue", "QueueDoesNotExist"})
_TOO_LONG_CODES = frozenset({"BatchRequestTooLong", "RequestEntityTooLarge"})
# Of a whole SendMessageBatch call: what one message's contents can cause, and no retry changes.
_CONTENT_CODES = frozenset(
    {
        "InvalidAttributeName",
        "InvalidAttributeValue",
        "InvalidMessageContents",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingParameter",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
# "Message must be shorter than 262144 bytes", "Batch requests cannot be longer than 262144 bytes": the same limit.
_LIMIT = re.compile(r"(?:shorter|longer) than ([0-9]{4,7}) bytes")


def call_error(operation: str, error: ClientError) -> Exception:
    """Say what an error that SQS answered means for the whole call."""
    details: Mapping[str, Any] = error.response.get("Error", {})
    code = _without_namespace(details.get("Code", ""))
    message = f"{operation}: {details.get('Code')}: {details.get('Message')}"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_too_long = code in _TOO_LONG_CODES or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if operation == "send" and (is_too_long or code in _CONTENT_CODES):
        return BatchRefusedError(_refusal(message, is_too_long=is_too_long))
    if code in _DENIED_CODES:
        return QueueAccessDenied(message)
    if code in _CREDENTIALS_CODES:
        return QueueCredentialsRefused(message)
    if code in _MISSING_CODES:
        return QueueNotFound(message)
    # What SQS refuses it has not done; what broke inside it, or in a gateway before it, it may have.
    is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return QueueUnavailable(message) if is_refusal else QueueAnswerLost(message)


def entry_error(entry: Mapping[str, Any], receipt_codes: frozenset[str]) -> Exception:
    """Say what the error of one entry of a batch means."""
    code = entry.get("Code", "")
    message = f"{entry.get('Code')}: {entry.get('Message', '')}"
    if code in receipt_codes:
        return ReceiptExpired(message)
    if not entry.get("SenderFault"):
        return QueueUnavailable(message)
    return _refusal(message, is_too_long=_without_namespace(code) in _TOO_LONG_CODES)


def fault_of(error: QueueUnavailable, queue_name: str) -> Fault:
    """Say what a failed call shows to be wrong."""
    if isinstance(error, QueueAccessDenied):
        return Fault(Cause.QUEUE_DENIED, f"SQS denies the use of queue {queue_name} ({error})")
    if isinstance(error, QueueCredentialsRefused):
        return Fault(Cause.QUEUE_DENIED, f"AWS refuses the credentials for queue {queue_name} ({error})")
    if isinstance(error, QueueNotFound):
        return Fault(Cause.QUEUE_MISSING, f"the queue {queue_name} does not exist")
    return Fault(Cause.QUEUE_UNREACHABLE, f"SQS is unreachable ({error})")


def _refusal(message: str, *, is_too_long: bool) -> QueueRefused:
    limit = _LIMIT.search(message)
    if is_too_long or limit:
        return MessageTooLarge(message, int(limit[1]) if limit else None)
    return QueueRefused(message)


def _without_namespace(code: str) -> str:
    """`AWS.SimpleQueueService.BatchRequestTooLong` is the query protocol's name of `BatchRequestTooLong`."""
    return code.rpartition(".")[2].rpartition("#")[2]
