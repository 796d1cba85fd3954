"""Slots, and which message gets the next one: no user has more than a share of them while others wait.

A user's messages beyond the share wait in this process, with their leases extended, until no other user waits. No other
user waits if the last receive call found the queue empty. The same is assumed when nearly as many messages as there are
slots wait or are asked for, so that hardly more can be asked for. Slots reserved for open receive calls stay free even
then, for the users of the messages that these calls return.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from services.common.batcher import BATCH_ENTRIES

M = TypeVar("M")

WAITING_SLACK_SHARE = 0.2
"""The share of the slots by which the number of waiting messages may fall short of all slots and still count as full.
Without slack each start beyond a user's share would have to wait for a receive call that brings one message."""


class FairSlots(Generic[M]):
    """Counts slots and queues waiting messages by user. `M` represents a received message."""

    def __init__(self, capacity: int, user_share: float) -> None:
        self.capacity = capacity
        self._user_limit = max(1, int(capacity * user_share))
        self._waiting_limit = capacity - int(capacity * WAITING_SLACK_SHARE)
        self.running = 0
        """Slots in use."""
        self.waiting = 0
        """Messages without a slot."""
        self._running: dict[str, int] = {}
        self._reserved = 0
        self._waiting: OrderedDict[str, deque[M]] = OrderedDict()
        self._found_empty = True

    @property
    def free(self) -> int:
        """Slots for which messages may be asked: free, and not reserved for an open receive call."""
        return min(self.capacity - self.running, self.capacity - self.waiting) - self._reserved

    def reserve(self) -> int:
        """Reserve slots for a receive call; returns how many messages to ask for, 0 when none."""
        count = max(0, min(BATCH_ENTRIES, self.free))
        self._reserved += count
        return count

    def received(self, asked: int, *, found_empty: bool) -> None:
        """Note that a receive call has succeeded, and whether it found the queue without messages when it began."""
        self._reserved -= asked
        self._found_empty = found_empty

    def receive_failed(self, asked: int) -> None:
        """Note that a receive call has failed, which does not say whether other users wait."""
        self._reserved -= asked

    def add(self, user_id: str, message: M) -> None:
        """Queue a received message for its user."""
        self._waiting.setdefault(user_id, deque()).append(message)
        self.waiting += 1

    def start_next(self) -> tuple[str, M] | None:
        """Give a slot to the next message, or return None when none may start."""
        if not self._waiting or self.running >= self.capacity:
            return None
        user_id = min(self._waiting, key=self._slots_of)
        if self._slots_of(user_id) >= self._user_limit and not self._no_other_user_waits():
            return None
        messages = self._waiting[user_id]
        message = messages.popleft()
        if messages:
            self._waiting.move_to_end(user_id)  # users with equally many slots take turns
        else:
            del self._waiting[user_id]
        self._running[user_id] = self._slots_of(user_id) + 1
        self.running += 1
        self.waiting -= 1
        return user_id, message

    def release(self, user_id: str) -> None:
        """Free one slot of the user."""
        self.running -= 1
        self._running[user_id] -= 1
        if not self._running[user_id]:
            del self._running[user_id]

    def remove_waiting(self) -> list[M]:
        """Remove and return all waiting messages."""
        removed = [message for messages in self._waiting.values() for message in messages]
        self._waiting.clear()
        self.waiting = 0
        return removed

    def _slots_of(self, user_id: str) -> int:
        return self._running.get(user_id, 0)

    def _no_other_user_waits(self) -> bool:
        if self._found_empty:
            return True
        is_full = self.waiting + self._reserved >= self._waiting_limit
        # The reserved slots are for the users of the messages that the open calls return.
        return is_full and self.running + self._reserved < self.capacity
