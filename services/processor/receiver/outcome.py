"""The outcome of a delivery: what the acknowledger does with its message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The task is finished or has failed, and its user is notified: delete the message."""

    result: str
    """A bounded word for metrics and logs, such as ``finished``."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Return the message to the queue, hidden for `delay_seconds`."""

    delay_seconds: int
    reason: str
    """A bounded word for metrics and logs, such as ``drain``."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another replica may have received the message: leave it alone."""


Outcome = Acknowledge | Requeue | LeaseLost
