"""AWS' errors are translated once, and each says what to do."""

import asyncio

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

import notification_api
from k8s.operator.resources import aws
from k8s.operator.resources.aws import aws_call, translate
from k8s.operator.resources.clients import client_config
from k8s.operator.resources.errors import NotFoundError, NotOwnedError, ResourceUnavailable
from notification_api import PermanentError


def _client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "CreateQueue",
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("RequestThrottled", 403),
        ("TooManyRequestsException", 400),
        ("InternalErrorException", 500),
        ("ServiceUnavailable", 503),
        ("", 502),
        ("SlowDown", 429),
        ("ExpiredToken", 403),
        ("ConcurrentModificationException", 400),
        ("QueueNameExists", 400),
    ],
)
def test_a_temporary_error_is_retried(code: str, status: int) -> None:
    assert isinstance(translate("sqs:CreateQueue on q", _client_error(code, status)), ResourceUnavailable)


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"])
def test_a_recently_deleted_name_is_retried_after_a_minute(code: str) -> None:
    error = translate("sqs:CreateQueue on q", _client_error(code))

    assert isinstance(error, ResourceUnavailable)
    assert error.retry_after_seconds == 60


@pytest.mark.parametrize("code", ["LimitExceededException", "ServiceQuotaExceededException", "OverLimit"])
def test_an_exhausted_quota_is_retried_rarely(code: str) -> None:
    error = translate("cognito-idp:CreateUserPool on p", _client_error(code))

    assert isinstance(error, ResourceUnavailable)
    assert error.retry_after_seconds >= 60


@pytest.mark.parametrize(
    "code", ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException"]
)
def test_a_missing_resource_is_not_found(code: str) -> None:
    assert isinstance(translate("sqs:GetQueueUrl on q", _client_error(code)), NotFoundError)


@pytest.mark.parametrize(
    ("code", "status"),
    [("AccessDenied", 403), ("AccessDeniedException", 400), ("NotAuthorizedException", 400), ("X", 403)],
)
def test_a_denial_names_the_action_to_allow(code: str, status: int) -> None:
    error = translate("sqs:CreateQueue on q", _client_error(code, status))

    assert type(error) is PermanentError
    assert "allow sqs:CreateQueue for the operator's AWS role" in str(error)


def test_other_errors_are_permanent_and_have_aws_message() -> None:
    error = translate("sqs:SetQueueAttributes on q", _client_error("InvalidAttributeValue"))

    assert type(error) is PermanentError
    assert str(error) == "sqs:SetQueueAttributes on q: InvalidAttributeValue: because"


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (EndpointConnectionError(endpoint_url="http://x"), ResourceUnavailable),
        (ReadTimeoutError(endpoint_url="http://x"), ResourceUnavailable),
        (UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "a page in Latin-1"), ResourceUnavailable),
        (AttributeError("'list' object has no attribute 'get'"), ResourceUnavailable),
        (TypeError("'NoneType' object is not subscriptable"), ResourceUnavailable),
        (NoCredentialsError(), PermanentError),
        (ParamValidationError(report="no"), PermanentError),
        (_client_error("AccessDenied", 403), PermanentError),
    ],
)
async def test_the_sdks_own_errors_are_translated(raised: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes, match=r"^sqs:GetQueueUrl on q: ") as caught:
        async with aws_call("sqs:GetQueueUrl", "q"):
            raise raised

    assert caught.value.__cause__ is raised


async def test_a_call_without_an_answer_ends_at_its_deadline() -> None:
    with pytest.raises(ResourceUnavailable, match="no answer within"):
        async with aws_call("sqs:GetQueueUrl", "q", within_seconds=0.01):
            await asyncio.Event().wait()


async def test_bugs_are_not_translated() -> None:
    with pytest.raises(KeyError):
        async with aws_call("sqs:GetQueueUrl", "q"):
            raise KeyError("a bug")


def test_an_attempt_times_out_well_before_the_call() -> None:
    config = client_config()

    assert config.connect_timeout + config.read_timeout < aws.CALL_SECONDS / 2  # type: ignore[attr-defined]
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}  # type: ignore[attr-defined]


def test_every_error_is_transient_or_permanent() -> None:
    assert issubclass(ResourceUnavailable, notification_api.TransientError)
    assert issubclass(PermanentError, notification_api.PermanentError)
    assert issubclass(NotOwnedError, PermanentError)
    assert issubclass(NotFoundError, PermanentError)
