"""Errors of calls to a queue, and their translation from SQS' error codes."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from notification_api import PermanentError, TransientError
from services.common.batcher import BatchRefusedError
from services.common.telemetry.faults import Cause, Fault


class QueueUnavailable(TransientError):
    """The call to SQS failed."""

    public_detail = "The task queue is briefly unavailable. Try again."


class QueueAnswerLost(QueueUnavailable):
    """It is unknown whether the call had an effect, since there was no valid response. A retry may repeat it."""


class QueueAccessDenied(QueueUnavailable):
    """The service has no permission for this call."""


class QueueCredentialsRefused(QueueUnavailable):
    """AWS does not accept the credentials, for any call."""


class QueueNotFound(QueueUnavailable):
    """The queue does not exist."""


class QueueRefused(PermanentError):
    """SQS will never accept this entry."""


class MessageTooLarge(QueueRefused):
    """The message is larger than the queue's MaximumMessageSize.

    `limit_bytes` is that size if SQS has reported it.
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
# Errors of a whole SendMessageBatch call that the content of one message causes. A retry cannot succeed.
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
    """Translate an error response of SQS for the whole call."""
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
    # A call that SQS refused had no effect; one that failed inside SQS or a gateway may have had.
    is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return QueueUnavailable(message) if is_refusal else QueueAnswerLost(message)


def entry_error(entry: Mapping[str, Any], receipt_codes: frozenset[str]) -> Exception:
    """Translate the error of one entry of a batch."""
    code = entry.get("Code", "")
    message = f"{entry.get('Code')}: {entry.get('Message', '')}"
    if code in receipt_codes:
        return ReceiptExpired(message)
    if not entry.get("SenderFault"):
        return QueueUnavailable(message)
    return _refusal(message, is_too_long=_without_namespace(code) in _TOO_LONG_CODES)


def fault_of(error: QueueUnavailable, queue_name: str) -> Fault:
    """Return the fault that a failed call shows."""
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
