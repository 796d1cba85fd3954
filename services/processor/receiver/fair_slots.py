"""Slots, and which message gets the next one: no user has more than a share of them while others wait.

A user's messages beyond the share wait in this process, with their leases extended, until no other user waits. No other
user waits if the last receive call found the queue empty. The same is assumed when nearly as many messages as there are
slots wait or are asked for, so that hardly more can be asked for. Slots reserved for open receive calls stay free even
then, for the users of the messages that these calls return.

A task type may have a limit of its own. Messages of a type that has reached it wait without keeping others from being
received or started, up to as many as its limit; the pool requeues further ones.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from notification_api.task import DEFAULT_TYPE
from services.common.batcher import BATCH_ENTRIES

M = TypeVar("M")

WAITING_SLACK_SHARE = 0.2
"""The share of the slots by which the number of waiting messages may fall short of all slots and still count as full.
Without slack each start beyond a user's share would have to wait for a receive call that brings one message."""


class FairSlots(Generic[M]):
    """Counts slots and queues waiting messages by user and task type. `M` represents a received message.

    :param type_limits: the slots that tasks of a type may have at once, for types that have a limit.
    """

    def __init__(self, capacity: int, user_share: float, type_limits: Mapping[str, int] | None = None) -> None:
        self.capacity = capacity
        self._user_limit = max(1, int(capacity * user_share))
        self._waiting_limit = capacity - int(capacity * WAITING_SLACK_SHARE)
        self._type_limits = {name: min(limit, capacity) for name, limit in (type_limits or {}).items()}
        self.running = 0
        """Slots in use."""
        self.waiting = 0
        """Messages without a slot."""
        self.running_by_type: Counter[str] = Counter()
        self._waiting_by_type: Counter[str] = Counter()
        self.full_types: set[str] = set()
        """Types that have reached their limit."""
        self._running: dict[str, int] = {}
        self._reserved = 0
        self._waiting: OrderedDict[str, OrderedDict[str, deque[M]]] = OrderedDict()
        self._found_empty = True

    @property
    def free(self) -> int:
        """Slots for which messages may be asked: free, and not reserved for an open receive call.

        Messages of full types do not count as waiting for them, up to as many as there are slots.
        """
        limit = min(self.capacity - self.startable, 2 * self.capacity - self.waiting)
        return min(self.capacity - self.running, limit) - self._reserved

    def should_requeue(self, task_type: str) -> bool:
        """Return whether a message of the type would wait behind as many of its type as may run at once."""
        limit = self._type_limits.get(task_type)
        if limit is None:
            return False
        return self.running_by_type[task_type] + self._waiting_by_type[task_type] >= 2 * limit

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

    def add(self, user_id: str, message: M, task_type: str = DEFAULT_TYPE) -> None:
        """Queue a received message for its user."""
        of_user = self._waiting.setdefault(user_id, OrderedDict())
        of_user.setdefault(task_type, deque()).append(message)
        self._waiting_by_type[task_type] += 1
        self.waiting += 1

    def start_next(self) -> tuple[str, M] | None:
        """Give a slot to the next message, or return None when none may start."""
        if not self._waiting or self.running >= self.capacity:
            return None
        users = (
            [user for user in self._waiting if self._next_type(user) is not None] if self.full_types else self._waiting
        )
        user_id = min(users, key=self._slots_of, default=None)
        if user_id is None:
            return None
        if self._slots_of(user_id) >= self._user_limit and not self._no_other_user_waits():
            return None
        return user_id, self._start(user_id)

    def release(self, user_id: str, task_type: str = DEFAULT_TYPE) -> None:
        """Free one slot of the user."""
        self.running -= 1
        self._running[user_id] -= 1
        if not self._running[user_id]:
            del self._running[user_id]
        self.running_by_type[task_type] -= 1
        self.full_types.discard(task_type)

    def remove_waiting(self) -> list[M]:
        """Remove and return all waiting messages."""
        removed = [
            message for of_user in self._waiting.values() for messages in of_user.values() for message in messages
        ]
        self._waiting.clear()
        self._waiting_by_type.clear()
        self.waiting = 0
        return removed

    @property
    def startable(self) -> int:
        """Waiting messages whose type is not full."""
        if not self.full_types:
            return self.waiting
        return self.waiting - sum(self._waiting_by_type[task_type] for task_type in self.full_types)

    def _next_type(self, user_id: str) -> str | None:
        """Return the type of the user's next message; types take turns."""
        return next((one for one in self._waiting[user_id] if one not in self.full_types), None)

    def _start(self, user_id: str) -> M:
        of_user = self._waiting[user_id]
        task_type = self._next_type(user_id)
        assert task_type is not None  # noqa: S101 — by the choice of the user
        messages = of_user[task_type]
        message = messages.popleft()
        if messages:
            of_user.move_to_end(task_type)
        else:
            del of_user[task_type]
        if of_user:
            self._waiting.move_to_end(user_id)  # users with equally many slots take turns
        else:
            del self._waiting[user_id]
        self._running[user_id] = self._slots_of(user_id) + 1
        self.running += 1
        self.waiting -= 1
        self._waiting_by_type[task_type] -= 1
        self.running_by_type[task_type] += 1
        if self.running_by_type[task_type] >= self._type_limits.get(task_type, self.capacity + 1):
            self.full_types.add(task_type)
        return message

    def _slots_of(self, user_id: str) -> int:
        return self._running.get(user_id, 0)

    def _no_other_user_waits(self) -> bool:
        if self._found_empty:
            return True
        is_full = self.startable + self._reserved >= self._waiting_limit
        # The reserved slots are for the users of the messages that the open calls return.
        return is_full and self.running + self._reserved < self.capacity
