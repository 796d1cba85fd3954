"""The topics of a cache: their sequence numbers, history and subscribers."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.errors import CallError
from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.store.subscription import Subscription, item_event


@dataclass(frozen=True, slots=True)
class Start:
    """Begin at message `sequence`. `missing`, if set, is the range of a discontinuity: after, up to."""

    sequence: int
    missing: tuple[int, int] | None = None


def start_of(resume_at: int, page: int, *, topic_page: int, oldest: int, newest: int) -> Start:
    """Decide where to start a subscriber that asks for message `resume_at` of `page`.

    `resume_at` 0 means only messages from now on; `page` 0 means that the subscriber knows none (older web SDKs).
    The topic keeps `oldest` to `newest`, both included; `oldest` is `newest + 1` if it keeps none.
    """
    if resume_at == 0:
        return Start(newest + 1)
    another_page = page not in (0, topic_page)
    # A number that is not used yet is from an earlier topic of this name.
    if another_page or resume_at > newest + 1 or resume_at < oldest:
        return Start(oldest, missing=(resume_at - 1, oldest - 1))
    return Start(resume_at)


@dataclass(frozen=True, slots=True)
class Message:
    sequence: int
    event: bytes
    operations: int


class Topic:
    """A topic. Its sequence numbers start at 1, on a page number that no earlier topic of this name had."""

    def __init__(self, settings: Settings, operations: RateLimiter, page: int) -> None:
        self.page = page
        self.subscriptions: set[Subscription] = set()
        self.history_bytes = 0
        self._settings = settings
        self._operations = operations
        self._sequence = 0
        self._history: deque[Message] = deque()

    def publish(self, value: pb._TopicValue, publisher_id: str, operations: int) -> int:
        """Deliver the message to all subscribers; return the number of deliveries.

        Each delivery counts against the quota too. One over the quota is skipped and reported by a discontinuity: "you
        might miss messages [...] due to rate limiting" (cachepubsub.proto).
        """
        self._sequence += 1
        message = Message(self._sequence, item_event(self._sequence, self.page, value, publisher_id), operations)
        self._add_to_history(message)
        return sum(self._deliver(message, subscription) for subscription in list(self.subscriptions))

    def subscribe(self, resume_at: int, page: int) -> Subscription:
        start = start_of(resume_at, page, topic_page=self.page, oldest=self._oldest(), newest=self._sequence)
        subscription = Subscription(self._settings, self.page, start.sequence - 1)
        if start.missing is not None:
            subscription.discontinue(*start.missing)
        elif self._settings.first_discontinuity and resume_at == 0:
            # Without a page the discontinuity only reports the expected sequence number (cachepubsub.proto).
            subscription.discontinue(0, start.sequence - 1)
        for message in self._history:
            if message.sequence >= start.sequence and subscription.offer(message.sequence, message.event):
                self._operations.consume(message.operations)
        self.subscriptions.add(subscription)
        return subscription

    def clear_history(self) -> None:
        """Drop the history; subscribers that resume receive a discontinuity."""
        self._history.clear()
        self.history_bytes = 0

    def _deliver(self, message: Message, subscription: Subscription) -> bool:
        if self._operations.try_acquire(message.operations):
            return subscription.offer(message.sequence, message.event)
        subscription.skip(message.sequence)
        return False

    def _add_to_history(self, message: Message) -> None:
        self._history.append(message)
        self.history_bytes += len(message.event)
        while len(self._history) > self._settings.history_messages:
            self.history_bytes -= len(self._history.popleft().event)

    def _oldest(self) -> int:
        return self._history[0].sequence if self._history else self._sequence + 1


class Topics:
    """The topics of one cache, created on first use. Over the bounds, the least recently used lose their history first.

    A topic without history and subscribers is removed.
    """

    def __init__(self, settings: Settings, operations: RateLimiter) -> None:
        self._settings = settings
        self._operations = operations
        self._topics: OrderedDict[str, Topic] = OrderedDict()
        self._history_bytes = 0
        self._last_page = 0

    def __iter__(self) -> Iterator[tuple[str, Topic]]:
        return iter(list(self._topics.items()))

    def publish(self, name: str, value: pb._TopicValue, publisher_id: str, operations: int) -> int:
        """Publish to a topic; return the number of deliveries."""
        topic = self._get_or_create(name)
        before = topic.history_bytes
        delivered = topic.publish(value, publisher_id, operations)
        self._history_bytes += topic.history_bytes - before
        self._enforce_bounds()
        return delivered

    def subscribe(self, name: str, resume_at: int, page: int) -> Subscription:
        return self._get_or_create(name).subscribe(resume_at, page)

    def unsubscribe(self, name: str, subscription: Subscription) -> None:
        """Remove the subscription, and the topic where it has no other subscriber and no history."""
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.subscriptions.discard(subscription)
        if not topic.subscriptions and topic.history_bytes == 0:
            del self._topics[name]

    def end_streams(self, error: CallError | None) -> int:
        """End all live streams, cleanly or with `error`; returns how many."""
        ending = [subscription for _, topic in self for subscription in topic.subscriptions]
        for subscription in ending:
            subscription.end(error)
        return len(ending)

    def _get_or_create(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._settings, self._operations, self._new_page())
        self._topics.move_to_end(name)
        return topic

    def _enforce_bounds(self) -> None:
        excess = len(self._topics) - self._settings.max_topics
        for name, topic in self if excess > 0 or self._is_history_too_big() else ():
            if excess <= 0 and not self._is_history_too_big():
                return
            self._history_bytes -= topic.history_bytes
            topic.clear_history()
            if not topic.subscriptions:
                del self._topics[name]
                excess -= 1

    def _is_history_too_big(self) -> bool:
        return self._history_bytes > self._settings.max_history_bytes

    def _new_page(self) -> int:
        # The time makes page numbers unique across restarts of the emulator.
        self._last_page = max(self._last_page + 1, int(time.time()))
        return self._last_page
