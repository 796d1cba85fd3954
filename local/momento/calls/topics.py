"""`cache_client.pubsub.Pubsub`: publish, and the checks before a subscription begins."""

from collections.abc import Iterator
from contextlib import contextmanager

from grpc import StatusCode
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import common_pb2

from local.momento.calls.call import Method
from local.momento.credentials import Credential
from local.momento.errors import CallError, invalid_argument, permission_denied, rate_limit_exceeded
from local.momento.permissions import Action
from local.momento.rate_limit import operations_of
from local.momento.settings import Settings
from local.momento.stats import Stats
from local.momento.store.caches import Cache, Caches
from local.momento.store.subscription import Subscription

SUBSCRIBE_PATH = "/cache_client.pubsub.Pubsub/Subscribe"
MAX_TOPIC_BYTES = 1024


class TopicCalls:
    """Calls for topics."""

    def __init__(self, settings: Settings, caches: Caches, stats: Stats) -> None:
        self._settings = settings
        self._caches = caches
        self._stats = stats
        self._live_subscriptions = 0

    def methods(self) -> list[Method]:
        return [Method("/cache_client.pubsub.Pubsub/Publish", pb._PublishRequest, self._publish)]

    @contextmanager
    def subscription(self, request: pb._SubscriptionRequest, credential: Credential) -> Iterator[Subscription]:
        """Subscribe for the duration of the context."""
        cache = self._authorize(credential, Action.SUBSCRIBE, request.cache_name, request.topic)
        if self._live_subscriptions >= self._settings.subscriptions:
            raise CallError(
                StatusCode.RESOURCE_EXHAUSTED,
                "Limit of subscribers exceeded",
                "topic_subscriptions_limit_exceeded",
            )
        subscription = cache.topics.subscribe(
            request.topic, request.resume_at_topic_sequence_number, request.sequence_page
        )
        self._live_subscriptions += 1
        try:
            yield subscription
        finally:
            self._live_subscriptions -= 1
            cache.topics.unsubscribe(request.topic, subscription)

    def _publish(self, request: pb._PublishRequest, credential: Credential, _cache: str) -> common_pb2._Empty:
        """A publish over the quota is refused; a delivery over it is skipped (see `Topic.publish`)."""
        cache = self._authorize(credential, Action.PUBLISH, request.cache_name, request.topic)
        operations = operations_of(self._size_bytes(request.value))
        if not self._caches.topic_operations.try_acquire(operations):
            raise rate_limit_exceeded("topic operations")
        self._stats.publishes += 1
        self._stats.deliveries += cache.topics.publish(request.topic, request.value, credential.token_id, operations)
        return common_pb2._Empty()

    def _authorize(self, credential: Credential, action: Action, cache: str, topic: str) -> Cache:
        """Check the permission first, so that a stranger does not learn which caches exist."""
        if not cache or not 1 <= len(topic.encode()) <= MAX_TOPIC_BYTES:
            raise invalid_argument("A cache name and a topic name are needed")
        if not credential.access.allows(action, cache, topic.encode()):
            raise permission_denied()
        return self._caches.get(cache)

    def _size_bytes(self, value: pb._TopicValue) -> int:
        kind = value.WhichOneof("kind")
        if kind is None:
            raise invalid_argument("A topic value is text or binary")
        size = len(value.binary if kind == "binary" else value.text.encode())
        if size > self._settings.max_payload_bytes:
            raise CallError(
                StatusCode.RESOURCE_EXHAUSTED,
                f"Request limit exceeded: {size} bytes",
                "request_size_limit_exceeded",
            )
        return size
