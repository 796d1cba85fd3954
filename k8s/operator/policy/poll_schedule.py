"""When stages at rest are looked at."""

EARLY_SHARE = 0.05


def together(period_seconds: float, now: float) -> float:
    """Seconds until stages at rest are looked at next: all in the same moment, one such moment a period.

    A look that follows another finds the machine's caches warm and costs a third of one by itself.
    """
    remaining = period_seconds - now % period_seconds
    # Timers may fire a moment early, which is no reason to look twice.
    return remaining if remaining > period_seconds * EARLY_SHARE else remaining + period_seconds
