"""Why a parameter cannot be read, in words that say what to do."""

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.parsers import ResponseParserError

from services.common.errors import PermanentError
from services.common.telemetry.faults import Cause


class EmptyParameterError(Exception):
    """it is empty: put the real value there"""


_UNREADABLE = (ResponseParserError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What the SDK or we stumble over in an answer that is none, such as that of a proxy on the way.

RuntimeError is the SDK's word for a date that is none, and Python's for brackets without end.
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
"""What reading a parameter may raise while SSM, the network, the permissions or the value are at fault."""

_ADVICE = {
    "ParameterNotFound": "put it there as a SecureString, in the region and account of this service",
    "AccessDeniedException": "allow this service's role ssm:GetParameter on it and kms:Decrypt on its key",
    "ParameterVersionNotFound": "correct the version in its name",
    "ThrottlingException": "SSM is asked too often; it is tried again",
    "ExpiredTokenException": "the AWS credentials have expired; renew them",
    "UnrecognizedClientException": "the AWS credentials are unknown; correct them",
    "InvalidSignatureException": "the AWS credentials are wrong, or this machine's clock is",
}


def cause(error: Exception) -> str:
    """Name the cause and what to do about it; holds nothing of the value and nothing of the credentials."""
    if isinstance(error, EmptyParameterError):
        return str(EmptyParameterError.__doc__)
    if isinstance(error, PermanentError):
        return f"its value cannot be used ({str(error).rstrip('.')})"
    if isinstance(error, ClientError):
        # The rest of the message is left out: it names roles and accounts.
        code = error.response.get("Error", {}).get("Code", "Unknown")
        return f"{code} ({_ADVICE.get(code, 'an error that SSM answered')})"
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"{type(error).__name__} (give the pod a role by IRSA or Pod Identity, or set AWS_ACCESS_KEY_ID)"
    if isinstance(error, TimeoutError):
        return "SSM did not answer in time (is AWS_ENDPOINT_URL right, is the network open?)"
    if isinstance(error, BotoCoreError | OSError):
        return f"{type(error).__name__} (is AWS_ENDPOINT_URL right, is the network open?)"
    if isinstance(error, _UNREADABLE):
        return f"the answer is not one of SSM ({type(error).__name__}; is AWS_ENDPOINT_URL right, is a proxy between?)"
    return type(error).__name__


def outcome(error: Exception) -> str:
    """Return the word for metrics: `unusable` where somebody has to put another value there, else `error`."""
    return "unusable" if isinstance(error, _UNUSABLE) else "error"


def fault_cause(error: Exception) -> Cause:
    """Whether there is no such parameter, or something else is in the way."""
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ParameterNotFound":
        return Cause.PARAMETER_MISSING
    return Cause.PARAMETER_UNREADABLE
