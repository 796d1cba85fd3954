"""Calls to AWS: a deadline for each, and the translation of AWS' errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from k8s.operator.resources.errors import NotFoundError, ResourceUnavailable
from notification_api import PermanentError

CALL_SECONDS = 30.0  # a call with its retries
_QUEUE_DELETED_RECENTLY_SECONDS = 60.0  # SQS API reference, CreateQueue
_QUOTA_SECONDS = 300.0  # only a person can raise it, so frequent retries are useless

# SQS answers with its old query names and its new ones, depending on the SDK's protocol.
_NOT_FOUND = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}
_DELETED_RECENTLY = {"AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "KmsThrottled",
}
_TRANSIENT = {
    "ConcurrentModificationException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    # Somebody created the queue after it was looked up: the next reconcile reads its tags.
    "QueueAlreadyExists",
    "QueueNameExists",
}
_QUOTA = {"LimitExceededException", "ServiceQuotaExceededException", "OverLimit"}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "NotAuthorizedException",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
}


@asynccontextmanager
async def aws_call(action: str, resource: str, within_seconds: float = CALL_SECONDS) -> AsyncIterator[None]:
    """Translate the errors of one call.

    :param action: as IAM names it (`sqs:CreateQueue`), so that a denial says what to allow.
    :raises ResourceUnavailable: also after `within_seconds`.
    :raises NotFoundError:
    :raises PermanentError:
    """
    call = f"{action} on {resource}"
    try:
        async with asyncio.timeout(within_seconds):
            yield
    except ClientError as error:
        raise translate(call, error) from error
    except TimeoutError as error:
        raise ResourceUnavailable(f"{call}: no answer within {within_seconds:.0f} s") from error
    except (HTTPClientError, BotoConnectionError, CredentialRetrievalError, ResponseParserError) as error:
        raise ResourceUnavailable(f"{call}: {error}") from error
    except BotoCoreError as error:
        raise PermanentError(f"{call}: {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        # The SDK fails so on an answer that is not AWS', such as a proxy's.
        raise ResourceUnavailable(f"{call}: the answer cannot be read: {type(error).__name__}: {error}") from error


def translate(call: str, error: ClientError) -> ResourceUnavailable | PermanentError:
    """Translate AWS' error; `call` is `action on resource`."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{call}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in _DELETED_RECENTLY:
        return ResourceUnavailable(f"{text} (SQS frees a name 60 s after deletion)", _QUEUE_DELETED_RECENTLY_SECONDS)
    if code in _QUOTA:
        return ResourceUnavailable(f"{text} (a quota of the account)", _QUOTA_SECONDS)
    if code in _THROTTLED | _TRANSIENT or status >= 500 or status == 429:
        return ResourceUnavailable(text)
    if code in _NOT_FOUND:
        return NotFoundError(text)
    if code in _DENIED or status in {401, 403}:
        return PermanentError(f"{text} (allow {call.split(' ')[0]} for the operator's AWS role)")
    return PermanentError(text)
