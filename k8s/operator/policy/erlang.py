"""Erlang's formulas for tasks that arrive at random and share a line (M/M/c).

A. K. Erlang 1917; in any textbook of queueing, such as L. Kleinrock, Queueing Systems I (1975), 3.5 and 3.6.
"""

import math


def blocking(slots: int, load: float) -> float:
    """Erlang B: the share that finds all slots taken when nobody waits, by the recursion that does not overflow."""
    blocked = 1.0
    for slot in range(1, slots + 1):
        blocked = load * blocked / (slot + load * blocked)
    return blocked


def wait_probability(slots: int, load: float, longer_than: float = 0.0) -> float:
    """Erlang C: the share that waits longer than `longer_than` (in mean task times).

    :param load: arrivals in a mean task time. At `slots` or above the line grows for ever, and everybody waits.
    """
    if load >= slots:
        return 1.0
    blocked = blocking(slots, load)
    waits = slots * blocked / (slots - load * (1 - blocked))
    return waits * math.exp(-(slots - load) * longer_than)
