"""A topic: its sequence, what it keeps for subscribers that resume, and who listens."""

from collections import deque
from dataclasses import dataclass

from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.rate_limit import Rate
from local.momento.settings import Settings
from local.momento.store import events
from local.momento.store.resume import start_of
from local.momento.store.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Message:
    sequence: int
    event: bytes
    operations: int


class Topic:
    """Sequence numbers start at 1 on a page that no earlier life of the topic had."""

    def __init__(self, settings: Settings, operations: Rate, page: int) -> None:
        self.page = page
        self.subscriptions: set[Subscription] = set()
        self.history_bytes = 0
        self._settings = settings
        self._operations = operations
        self._sequence = 0
        self._history: deque[Message] = deque()

    def publish(self, value: pb._TopicValue, publisher_id: str, operations: int) -> int:
        """Give the message to all who listen; returns how many got it.

        Each delivery counts against the quota too. One that does not fit is skipped, and a discontinuity says so:
        "you might miss messages [...] due to rate limiting" (cachepubsub.proto).
        """
        self._sequence += 1
        message = Message(self._sequence, events.item(self._sequence, self.page, value, publisher_id), operations)
        self._keep(message)
        return sum(self._deliver(message, subscription) for subscription in list(self.subscriptions))

    def subscribe(self, resume_at: int, page: int) -> Subscription:
        start = start_of(resume_at, page, topic_page=self.page, oldest=self._oldest(), newest=self._sequence)
        subscription = Subscription(self._settings, self.page, start.sequence - 1)
        if start.missing is not None:
            subscription.discontinue(*start.missing)
        elif self._settings.first_discontinuity and resume_at == 0:
            # For one who knows no page "this is just telling you what [it] is expected to be" (cachepubsub.proto).
            subscription.discontinue(0, start.sequence - 1)
        for message in self._history:
            if message.sequence >= start.sequence and subscription.offer(message.sequence, message.event):
                self._operations.charge(message.operations)
        self.subscriptions.add(subscription)
        return subscription

    def forget(self) -> None:
        """Drop the history; who resumes is told of a discontinuity."""
        self._history.clear()
        self.history_bytes = 0

    def _deliver(self, message: Message, subscription: Subscription) -> bool:
        if self._operations.take(message.operations):
            return subscription.offer(message.sequence, message.event)
        subscription.skip(message.sequence)
        return False

    def _keep(self, message: Message) -> None:
        self._history.append(message)
        self.history_bytes += len(message.event)
        while len(self._history) > self._settings.history_messages:
            self.history_bytes -= len(self._history.popleft().event)

    def _oldest(self) -> int:
        return self._history[0].sequence if self._history else self._sequence + 1
