"""The slots that a replica can use at once, which task types with a limit may keep below `CONCURRENCY`."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from services.processor.receiver.fair_slots import FairSlots

MIX_SECONDS = 60.0
"""How fast the present mix of types replaces an earlier one (time constant)."""


class UsableSlots:
    """Estimates the usable slots from the mix of types in the slots.

    If a type has reached its limit of 4 and is half of the work, 8 slots can be in use at once. The operator plans with
    this number. While no type has reached its limit, all slots are usable.
    """

    def __init__(
        self, slots: FairSlots[Any], limits: Mapping[str, int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._limits = limits
        self._clock = clock
        self._mix: defaultdict[str, float] = defaultdict(float)
        self._sampled_at = clock()

    def estimate(self) -> int:
        """Sample the slots, and return how many can be used with the mix of types of about the last minute."""
        if not self._limits:
            return self._slots.capacity
        self._sample()
        total = sum(self._mix.values())
        usable = float(self._slots.capacity)
        for task_type in self._slots.full_types & self._limits.keys():
            if self._mix[task_type] > 0:
                usable = min(usable, self._limits[task_type] * total / self._mix[task_type])
        return max(1, math.floor(usable + 1e-6))

    def _sample(self) -> None:
        now = self._clock()
        weight = 1 - math.exp((self._sampled_at - now) / MIX_SECONDS)
        self._sampled_at = now
        running = self._slots.running_by_type
        for task_type in {*self._mix, *running}:
            self._mix[task_type] += weight * (running[task_type] - self._mix[task_type])
