"""What to do when a stream or a call of the subscription fails, and which notifications are new. Pure."""

from dataclasses import dataclass

from notification_api.client.errors import NotificationApiError, SignedOutError, SubscriptionRefusedError
from notification_api.client.notification import Notification
from notification_api.client.retry import Backoff

STABLE_SECONDS = 10.0
"""A stream that lasted this long was stable: its end is the first failure of a new count."""
CLOCK_TOLERANCE_SECONDS = 5.0
"""How far the clocks of the services may differ."""
LOST = Backoff(1.0, 15.0)
REFUSED = Backoff(5.0, 60.0)
"""A missing cache or a used-up quota does not recover within a second."""
RENEWAL = Backoff(20.0, 20.0)
"""While the current stream goes on, for the other half of the life of its token."""
TOKEN_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"})
"""Another token may help. It also names the cache, which may have another name now."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait, then open another stream."""

    pause_seconds: float
    needs_new_token: bool


def after_failure(error: NotificationApiError, failures: int, jitter: float, *, was_open: bool) -> Retry | None:
    """Decide what follows a failure; None: nothing will help.

    :param failures: in a row, from 1.
    :param jitter: 0 to 1.
    :param was_open: a stream was open before. If not, an error that is not retryable is probably a wrong URL; later,
        it is rather a proxy or a service that is being replaced.
    """
    if isinstance(error, SignedOutError) or not (error.retryable or was_open):
        return None
    reason = error.reason if isinstance(error, SubscriptionRefusedError) else None
    needs_new_token = reason in TOKEN_REFUSED
    if needs_new_token and failures == 1:
        return Retry(0.0, needs_new_token=True)
    backoff = LOST if reason is None else REFUSED
    return Retry(backoff.pause(failures, error.retry_after_seconds, jitter), needs_new_token)


def next_failures(failures: int, open_seconds: float) -> int:
    """Count a failure of a stream that was open for this time."""
    return 1 if open_seconds >= STABLE_SECONDS else failures + 1


def is_since(notification: Notification, started_at: float, served_at: float) -> bool:
    """Decide whether an entry of the history was sent since the start, by the clock of the services, in epoch seconds.

    A time in the future comes from a wrong clock and says nothing.
    """
    return started_at <= notification.time_ms / 1000 < served_at + CLOCK_TOLERANCE_SECONDS
