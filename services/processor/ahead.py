"""Looking ahead: how many slots will have become free by the time that a receive call brings messages for them.

A slot that waits for an answer of the queue does nothing. Where tasks take milliseconds, 5 ms of that are a tenth of
the time; where they take seconds, nobody notices. So what is received ahead follows from what was just measured: the
slots that ended while a receive call was under way. Of tasks that take long none does, and nothing is received ahead.
"""

CALLS = 4
"""For how many calls' worth of slots is asked ahead: that many wait about as long as three calls take, some 10 ms."""
MOST_SHARE = 0.2
"""Of all slots."""
_SMOOTHING = 8


class Ahead:
    """Measures the pace at which slots become free.

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
        """Note how many slots ended while a receive call was under way."""
        self._ended_in_a_call += (min(ended, self._most) - self._ended_in_a_call) / _SMOOTHING

    def forget(self) -> None:
        """Count on nothing: the pace is another now."""
        self._ended_in_a_call = 0.0
