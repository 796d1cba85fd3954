"""Looking ahead: how many slots will have become free by the time that a receive call brings messages for them.

A slot that waits for an answer of the queue does nothing. Where tasks take milliseconds, 5 ms of that are a tenth of
the time; where they take seconds, nobody notices. So only slots that were held for less than `QUICK_SECONDS` count, and
as many are expected as were just measured: those that ended while a receive call was under way.
"""

QUICK_SECONDS = 0.5
"""A task that holds its slot for longer is never counted on, not even when a hundred that began together end."""
CALLS = 4
"""How many calls' worth is asked ahead: calls take turns, and tasks that were received together end together."""
MOST_SHARE = 0.2
"""Of all slots."""
_SMOOTHING = 8


class Ahead:
    """Measures the pace at which quick tasks free their slots.

    :param capacity: slots in all.
    """

    def __init__(self, capacity: int) -> None:
        self._most = int(capacity * MOST_SHARE)
        self._ended_in_a_call = 0.0

    @property
    def count(self) -> int:
        """Slots to count on, beside those that are free."""
        return min(self._most, int(self._ended_in_a_call * CALLS))

    def measured(self, ended: int) -> None:
        """Note how many quick tasks ended while a receive call was under way."""
        self._ended_in_a_call += (min(ended, self._most) - self._ended_in_a_call) / _SMOOTHING

    def forget(self) -> None:
        """Count on nothing: the pace is another now."""
        self._ended_in_a_call = 0.0
