"""Counts of what the emulator has done since its start, for tests."""

from collections import Counter, defaultdict
from typing import Any

from local.momento.store.caches import Caches


class Stats:
    def __init__(self) -> None:
        self.publishes = 0
        self.deliveries = 0
        self.vended_tokens = 0
        self._calls: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def count_call(self, method: str, status: str) -> None:
        self._calls[method][status] += 1

    def as_json(self, caches: Caches) -> dict[str, Any]:
        streams = {
            name: {topic: len(each.subscriptions) for topic, each in cache.topics if each.subscriptions}
            for name, cache in caches
        }
        return {
            "liveStreams": caches.live_streams(),
            "liveStreamsByTopic": streams,
            "publishes": self.publishes,
            "deliveries": self.deliveries,
            "vendedTokens": self.vended_tokens,
            "calls": {method: dict(statuses) for method, statuses in self._calls.items()},
            "caches": {name: {"items": len(cache.items), "bytes": cache.items.used_bytes} for name, cache in caches},
        }
