"""Calls to AWS: deadlines, and the one place where AWS' errors become ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiobotocore.config import AioConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from k8s.operator.resources.errors import NotFound, Permanent, ResourceUnavailable
from services.common.aws.clients import USER_AGENT

CALL_SECONDS = 30.0  # one call with all its retries
_QUEUE_DELETED_RECENTLY_SECONDS = 60.0  # SQS API reference, CreateQueue
_QUOTA_SECONDS = 300.0  # a person has to raise it, so asking often is pointless

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
_PASSING = {
    "ConcurrentModificationException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    # Somebody made the queue between our look and our creation: the next pass sees whose it is.
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


def client_config() -> AioConfig:
    """For every AWS client of the operator: 3 s to connect, 8 s to an answer, three attempts in all."""
    return AioConfig(
        user_agent=USER_AGENT,
        connect_timeout=3,
        read_timeout=8,
        retries={"mode": "standard", "total_max_attempts": 3},
    )


@asynccontextmanager
async def aws_call(action: str, resource: str, within_seconds: float = CALL_SECONDS) -> AsyncIterator[None]:
    """Wrap one call: `action` in IAM's words (`sqs:CreateQueue`), so that a denial says what to allow.

    Raises `ResourceUnavailable`, `NotFound` or `Permanent`, each naming action and resource. Not answered within
    `within_seconds` is `ResourceUnavailable`.
    """
    what = f"{action} on {resource}"
    try:
        async with asyncio.timeout(within_seconds):
            yield
    except ClientError as error:
        raise translate(what, error) from error
    except TimeoutError as error:
        raise ResourceUnavailable(f"{what}: no answer within {within_seconds:.0f} s") from error
    except (HTTPClientError, BotoConnectionError, CredentialRetrievalError, ResponseParserError) as error:
        raise ResourceUnavailable(f"{what}: {error}") from error
    except BotoCoreError as error:
        raise Permanent(f"{what}: {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        # What the SDK stumbles over in an answer that is none, such as that of a proxy on the way.
        raise ResourceUnavailable(f"{what}: the answer cannot be read: {type(error).__name__}: {error}") from error


def translate(what: str, error: ClientError) -> ResourceUnavailable | Permanent:
    """AWS' error as ours; `what` is `action on resource`."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{what}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in _DELETED_RECENTLY:
        return ResourceUnavailable(f"{text} (SQS frees a name 60 s after deletion)", _QUEUE_DELETED_RECENTLY_SECONDS)
    if code in _QUOTA:
        return ResourceUnavailable(f"{text} (a quota of the account)", _QUOTA_SECONDS)
    if code in _THROTTLED | _PASSING or status >= 500 or status == 429:
        return ResourceUnavailable(text)
    if code in _NOT_FOUND:
        return NotFound(text)
    if code in _DENIED or status in {401, 403}:
        return Permanent(f"{text} (allow {what.split(' ')[0]} for the operator's AWS role)")
    return Permanent(text)
