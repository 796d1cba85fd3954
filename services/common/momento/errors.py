"""What can go wrong with Momento, said as what to do about it.

The SDK never raises: it answers ``…Error`` objects, and one that nobody looks at is a lost notification.
"""

from momento.errors import MomentoErrorCode, SdkException

from services.common.errors import PermanentError, Transient
from services.common.telemetry.faults import Cause, Fault


class MomentoUnavailable(Transient):
    """Momento did not do it this time."""

    public_detail = "The notification service is briefly unavailable. Try again."


class MomentoQuotaExceeded(MomentoUnavailable):
    """The account's quota for this kind of call is used up for the moment."""

    public_detail = "The notification service is busy. Try again in a moment."


class MomentoKeyRefused(MomentoUnavailable):
    """The API key is not accepted or may not do this: it was revoked, or another has to be put into SSM.

    Nothing that is asked for is at fault, so it succeeds once a good key is there.
    """


class MomentoCacheNotFound(MomentoUnavailable):
    """There is no cache of this name."""


class MomentoRefused(PermanentError):
    """Momento will never do this as asked: an argument is wrong."""


_TRANSIENT: dict[MomentoErrorCode, type[MomentoUnavailable]] = {
    MomentoErrorCode.AUTHENTICATION_ERROR: MomentoKeyRefused,
    MomentoErrorCode.PERMISSION_ERROR: MomentoKeyRefused,
    MomentoErrorCode.NOT_FOUND_ERROR: MomentoCacheNotFound,
    MomentoErrorCode.LIMIT_EXCEEDED_ERROR: MomentoQuotaExceeded,
    MomentoErrorCode.CLIENT_RESOURCE_EXHAUSTED: MomentoQuotaExceeded,
}
_NEEDED = frozenset({"vend", "publish"})
_PERMANENT = frozenset(
    {
        MomentoErrorCode.INVALID_ARGUMENT_ERROR,
        MomentoErrorCode.BAD_REQUEST_ERROR,
        MomentoErrorCode.FAILED_PRECONDITION_ERROR,
    }
)


def from_sdk(operation: str, error: SdkException) -> MomentoUnavailable | MomentoRefused:
    """Translate the SDK's error; a missing cache counts as transient, since the operator is about to make it."""
    message = f"{operation}: {error.error_code.name}: {error.message}"
    if error.error_code in _PERMANENT:
        return MomentoRefused(message)
    return _TRANSIENT.get(error.error_code, MomentoUnavailable)(message)


def fault_of(operation: str, error: MomentoUnavailable, parameter: str, cache_name: str) -> Fault:
    """Say what a failed call shows to be wrong.

    :param parameter: the name of the SSM parameter that holds the API key.
    """
    if isinstance(error, MomentoKeyRefused):
        return Fault(Cause.MOMENTO_KEY_REFUSED, f"Momento refused the API key (parameter {parameter})")
    if isinstance(error, MomentoQuotaExceeded):
        # Each kind of call has a quota of its own, and what is kept in the cache can be done without.
        is_blocking = operation in _NEEDED
        return Fault(
            Cause.MOMENTO_QUOTA, f"a quota of the Momento account is used up ({error})", is_blocking=is_blocking
        )
    if isinstance(error, MomentoCacheNotFound):
        return Fault(Cause.MOMENTO_CACHE_MISSING, f"the Momento cache {cache_name} does not exist")
    return Fault(Cause.MOMENTO_UNREACHABLE, f"Momento is unreachable ({error})")
