"""Why a parameter cannot be read, and what to do."""

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.parsers import ResponseParserError

from notification_api import PermanentError
from services.common.telemetry.faults import Cause


class EmptyParameterError(Exception):
    """it is empty: store the value in it"""


_UNREADABLE = (ResponseParserError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""Errors from an invalid response, such as that of a proxy.

RuntimeError is what the SDK raises for an invalid date, and Python for too many nested brackets.
"""
_UNUSABLE = (EmptyParameterError, PermanentError)
FAILURES = (
    ClientError,
    BotoCoreError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    *_UNREADABLE,
    *_UNUSABLE,
)
"""What reading a parameter may raise because of SSM, the network, the permissions or the value."""

_ADVICE = {
    "ParameterNotFound": "create it as a SecureString, in the region and account of this service",
    "AccessDeniedException": "allow this service's role ssm:GetParameter on it and kms:Decrypt on its key",
    "ParameterVersionNotFound": "correct the version in its name",
    "ThrottlingException": "SSM throttles the calls; it is read again",
    "ExpiredTokenException": "the AWS credentials have expired; renew them",
    "UnrecognizedClientException": "the AWS credentials are unknown; correct them",
    "InvalidSignatureException": "the AWS credentials are wrong, or this machine's clock is",
}


def cause(error: Exception) -> str:
    """Return the cause and what to do. It quotes neither the value nor the credentials."""
    if isinstance(error, EmptyParameterError):
        return str(EmptyParameterError.__doc__)
    if isinstance(error, PermanentError):
        return f"its value cannot be used ({str(error).rstrip('.')})"
    if isinstance(error, ClientError):
        # Without the rest of the message, which names roles and accounts.
        code = error.response.get("Error", {}).get("Code", "Unknown")
        return f"{code} ({_ADVICE.get(code, 'an error of SSM')})"
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"{type(error).__name__} (give the pod a role by IRSA or Pod Identity, or set AWS_ACCESS_KEY_ID)"
    if isinstance(error, TimeoutError):
        return "SSM did not respond in time (is AWS_ENDPOINT_URL right, is the network open?)"
    if isinstance(error, BotoCoreError | OSError):
        return f"{type(error).__name__} (is AWS_ENDPOINT_URL right, is the network open?)"
    if isinstance(error, _UNREADABLE):
        return f"the response is not valid ({type(error).__name__}; is AWS_ENDPOINT_URL right, is there a proxy?)"
    return type(error).__name__


def outcome(error: Exception) -> str:
    """Return the metric's label: `unusable` if the value has to be replaced, else `error`."""
    return "unusable" if isinstance(error, _UNUSABLE) else "error"


def fault_cause(error: Exception) -> Cause:
    """Return whether the parameter is missing or cannot be read."""
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ParameterNotFound":
        return Cause.PARAMETER_MISSING
    return Cause.PARAMETER_UNREADABLE
