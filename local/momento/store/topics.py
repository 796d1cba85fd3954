"""The topics of one cache, bounded in number and in what they keep."""

import time
from collections import OrderedDict
from collections.abc import Iterator

from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.errors import CallError
from local.momento.rate_limit import Rate
from local.momento.settings import Settings
from local.momento.store.subscription import Subscription
from local.momento.store.topic import Topic


class Topics:
    """Made when they are first used. Over the bounds, those used longest ago lose their history, then go."""

    def __init__(self, settings: Settings, operations: Rate) -> None:
        self._settings = settings
        self._operations = operations
        self._topics: OrderedDict[str, Topic] = OrderedDict()
        self._history_bytes = 0
        self._last_page = 0

    def __iter__(self) -> Iterator[tuple[str, Topic]]:
        return iter(list(self._topics.items()))

    def publish(self, name: str, value: pb._TopicValue, publisher_id: str, operations: int) -> int:
        """Returns how many subscribers the message was given to."""
        topic = self._use(name)
        before = topic.history_bytes
        delivered = topic.publish(value, publisher_id, operations)
        self._history_bytes += topic.history_bytes - before
        self._keep_within_bounds()
        return delivered

    def subscribe(self, name: str, resume_at: int, page: int) -> Subscription:
        return self._use(name).subscribe(resume_at, page)

    def release(self, name: str, subscription: Subscription) -> None:
        """The stream is over; a topic that nobody listens to and that kept nothing goes with it."""
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

    def _use(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._settings, self._operations, self._new_page())
        self._topics.move_to_end(name)
        return topic

    def _keep_within_bounds(self) -> None:
        excess = len(self._topics) - self._settings.max_topics
        for name, topic in self if excess > 0 or self._history_is_too_big() else ():
            if excess <= 0 and not self._history_is_too_big():
                return
            self._history_bytes -= topic.history_bytes
            topic.forget()
            if not topic.subscriptions:
                del self._topics[name]
                excess -= 1

    def _history_is_too_big(self) -> bool:
        return self._history_bytes > self._settings.max_history_bytes

    def _new_page(self) -> int:
        # The time keeps pages apart across restarts of the emulator, too.
        self._last_page = max(self._last_page + 1, int(time.time()))
        return self._last_page
