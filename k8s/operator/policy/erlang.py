"""Erlang's formulas for tasks that arrive at random and share one queue (M/M/c).

A. K. Erlang 1917; L. Kleinrock, Queueing Systems I (1975), 3.5 and 3.6.
"""

import math


def blocking_probability(slots: int, load: float) -> float:
    """Erlang B: the share of arrivals that find every slot occupied if none waits. The recursion does not overflow."""
    blocked = 1.0
    for slot in range(1, slots + 1):
        blocked = load * blocked / (slot + load * blocked)
    return blocked


def wait_probability(slots: int, load: float, longer_than: float = 0.0) -> float:
    """Erlang C: the share of arrivals that wait longer than `longer_than` mean task times.

    :param load: arrivals in a mean task time. From `slots` on the queue grows without end, and every task waits.
    """
    if load >= slots:
        return 1.0
    blocked = blocking_probability(slots, load)
    waits = slots * blocked / (slots - load * (1 - blocked))
    return waits * math.exp(-(slots - load) * longer_than)
