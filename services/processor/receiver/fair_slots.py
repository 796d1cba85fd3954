"""Slots: which message starts next, so that no user holds more than a share of them while others wait.

A user beyond the share waits with us (the lease is kept) unless nobody else is known to wait: the queue had nothing
when it was last asked, or it can hardly be asked for more: nearly as many messages as there are slots wait or are
asked for. Even then the slots that open calls were made for stay free for whoever these bring.
"""

import math
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from services.common.batcher import BATCH_ENTRIES
from services.processor.receiver.prefetch import QUICK_SECONDS, Ahead

M = TypeVar("M")

LINE_SLACK_SHARE = 0.2
"""Of all slots: how much of the line may be empty and it counts as full. Were it none, each start would have to wait
for a call that brings the one message in its place."""


class Slots(Generic[M]):
    """Counts slots and keeps the line. `M` is whatever stands for a held message."""

    def __init__(self, capacity: int, user_share: float) -> None:
        self.capacity = capacity
        self._user_limit = max(1, int(capacity * user_share))
        self._full_line = capacity - int(capacity * LINE_SLACK_SHARE)
        self.running = 0
        """Slots taken."""
        self.waiting = 0
        """Messages held that have no slot."""
        self._running: dict[str, int] = {}
        self.ended_quickly = 0
        """Slots taken back so far, from tasks that held them shortly."""
        self._ahead = Ahead(capacity)
        self._reserved = 0
        self._waiting: OrderedDict[str, deque[M]] = OrderedDict()
        self._drained = True

    @property
    def room(self) -> int:
        """Slots that are free, or will be by the time an answer is here, and not set aside."""
        free = self.capacity - self.running + max(0, self._ahead.count - self.waiting)
        return min(free, self.capacity - self.waiting) - self._reserved

    def reserve(self) -> int:
        """Set slots aside for a receive call; answers how many messages to ask for, 0 when none."""
        count = max(0, min(BATCH_ENTRIES, self.room))
        self._reserved += count
        return count

    @property
    def is_overbooked(self) -> bool:
        """Whether receive calls are under way for more slots than are free."""
        return self._reserved > self.capacity - self.running

    def received(self, asked: int, *, drained: bool, ended_meanwhile: int | None = None) -> None:
        """Note that a receive call is over, and whether it found the queue without messages when it began.

        :param ended_meanwhile: how much `ended_quickly` grew; None where the call had to wait, which tells no pace.
        """
        self._reserved -= asked
        self._drained = drained
        if ended_meanwhile is None:
            self._ahead.forget()
        else:
            self._ahead.measured(ended_meanwhile)

    def failed(self, asked: int) -> None:
        """Note that a receive call brought nothing because it failed, which tells nothing of who waits."""
        self._reserved -= asked

    def wait(self, user_id: str, message: M) -> None:
        """Put a held message into its user's line."""
        self._waiting.setdefault(user_id, deque()).append(message)
        self.waiting += 1

    def start_next(self) -> tuple[str, M] | None:
        """Give a slot to the message whose turn it is, or None when none may start."""
        if not self._waiting or self.running >= self.capacity:
            return None
        user_id = min(self._waiting, key=self._runs)
        if self._runs(user_id) >= self._user_limit and not self._nobody_else_waits():
            return None
        line = self._waiting[user_id]
        message = line.popleft()
        if line:
            self._waiting.move_to_end(user_id)  # users with as many slots take turns
        else:
            del self._waiting[user_id]
        self._running[user_id] = self._runs(user_id) + 1
        self.running += 1
        self.waiting -= 1
        return user_id, message

    def finished(self, user_id: str, held_seconds: float = math.inf) -> None:
        """Take a slot back."""
        self.ended_quickly += held_seconds < QUICK_SECONDS
        self.running -= 1
        self._running[user_id] -= 1
        if not self._running[user_id]:
            del self._running[user_id]

    def give_up_waiting(self) -> list[M]:
        """Empty the lines, for a drain."""
        messages = [message for line in self._waiting.values() for message in line]
        self._waiting.clear()
        self.waiting = 0
        return messages

    def waits_for_any(self, user_id: str) -> bool:
        """Tell whether a message of the user would wait for any slot to become free, and not for the user's share."""
        return self.running >= self.capacity and self._runs(user_id) < self._user_limit

    def give_up(self, user_id: str, message: M) -> bool:
        """Take a message out of the line, if it is there still."""
        line = self._waiting.get(user_id)
        if line is None or message not in line:
            return False
        line.remove(message)
        self.waiting -= 1
        if not line:
            del self._waiting[user_id]
        self._ahead.forget()
        return True

    def _runs(self, user_id: str) -> int:
        return self._running.get(user_id, 0)

    def _nobody_else_waits(self) -> bool:
        if self._drained:
            return True
        is_full = self.waiting + self._reserved >= self._full_line
        # The slots that open calls were made for are for whoever these bring.
        return is_full and self.running + self._reserved < self.capacity
