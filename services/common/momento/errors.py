"""Errors of calls to Momento, translated from the SDK's.

The SDK does not raise errors but returns ``…Error`` objects. An unchecked one would be a lost notification.
"""

from momento.errors import MomentoErrorCode, SdkException

from notification_api import PermanentError, TransientError
from services.common.overload import OverloadedError
from services.common.telemetry.faults import Cause, Fault


class MomentoUnavailable(TransientError):
    """The call to Momento failed."""

    public_detail = "The notification service is briefly unavailable. Try again."


class MomentoQuotaExceeded(MomentoUnavailable, OverloadedError):
    """The account's quota for this kind of call is exceeded."""

    public_detail = "The notification service is busy. Try again in a moment."


class MomentoKeyRefused(MomentoUnavailable):
    """The API key is revoked or has no permission for the call. It succeeds once SSM has a valid key."""


class MomentoCacheNotFound(MomentoUnavailable):
    """The cache does not exist."""


class MomentoRefused(PermanentError):
    """Momento refuses an argument; the call can never succeed."""


_TRANSIENT: dict[MomentoErrorCode, type[MomentoUnavailable]] = {
    MomentoErrorCode.AUTHENTICATION_ERROR: MomentoKeyRefused,
    MomentoErrorCode.PERMISSION_ERROR: MomentoKeyRefused,
    MomentoErrorCode.NOT_FOUND_ERROR: MomentoCacheNotFound,
    MomentoErrorCode.LIMIT_EXCEEDED_ERROR: MomentoQuotaExceeded,
    MomentoErrorCode.CLIENT_RESOURCE_EXHAUSTED: MomentoQuotaExceeded,
}
_ESSENTIAL = frozenset({"vend", "publish"})
_PERMANENT = frozenset(
    {
        MomentoErrorCode.INVALID_ARGUMENT_ERROR,
        MomentoErrorCode.BAD_REQUEST_ERROR,
        MomentoErrorCode.FAILED_PRECONDITION_ERROR,
    }
)


def from_sdk(operation: str, error: SdkException) -> MomentoUnavailable | MomentoRefused:
    """Translate the SDK's error. A missing cache is transient, since the operator creates it."""
    message = f"{operation}: {error.error_code.name}: {error.message}"
    if error.error_code in _PERMANENT:
        return MomentoRefused(message)
    return _TRANSIENT.get(error.error_code, MomentoUnavailable)(message)


def fault_of(operation: str, error: MomentoUnavailable, parameter: str, cache_name: str) -> Fault:
    """Return the fault that a failed call shows.

    :param parameter: the name of the SSM parameter that holds the API key.
    """
    if isinstance(error, MomentoKeyRefused):
        return Fault(Cause.MOMENTO_KEY_REFUSED, f"Momento refused the API key (parameter {parameter})")
    if isinstance(error, MomentoQuotaExceeded):
        # Each kind of call has its own quota, and the services work without the cache.
        is_blocking = operation in _ESSENTIAL
        return Fault(
            Cause.MOMENTO_QUOTA, f"a quota of the Momento account is exceeded ({error})", is_blocking=is_blocking
        )
    if isinstance(error, MomentoCacheNotFound):
        return Fault(Cause.MOMENTO_CACHE_MISSING, f"the Momento cache {cache_name} does not exist")
    return Fault(Cause.MOMENTO_UNREACHABLE, f"Momento is unreachable ({error})")
