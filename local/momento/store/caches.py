"""The caches of the account. Each has items and topics."""

from collections.abc import Iterator
from functools import partial

from grpc import StatusCode

from local.momento.errors import CallError, cache_not_found
from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.store.item_file import ItemFile
from local.momento.store.items import Dictionary, Items, Value
from local.momento.store.persistence import State
from local.momento.store.topics import Topics


class Cache:
    def __init__(self, items: Items, topics: Topics) -> None:
        self.items = items
        self.topics = topics


class Caches:
    """The caches of the account. They share the quota `topic_operations`, which is documented as one for a region.

    :param item_file: keeps the items; None if they are lost at the end of the process.
    """

    def __init__(self, settings: Settings, state: State, item_file: ItemFile | None = None) -> None:
        self.topic_operations = RateLimiter(lambda: settings.topic_operations_per_second)
        self._settings = settings
        self._state = state
        self._item_file = item_file
        self._caches = {name: self._new_cache(name) for name in sorted(state.caches)}

    def __iter__(self) -> Iterator[tuple[str, Cache]]:
        return iter(list(self._caches.items()))

    def get(self, name: str) -> Cache:
        """Return the cache; raises NOT_FOUND."""
        try:
            return self._caches[name]
        except KeyError:
            raise cache_not_found(name) from None

    def create(self, name: str) -> None:
        """Create a cache; raises ALREADY_EXISTS, or RESOURCE_EXHAUSTED over the quota."""
        if name in self._caches:
            raise CallError(StatusCode.ALREADY_EXISTS, f"Cache with name: {name} already exists")
        if len(self._caches) >= self._settings.max_caches:
            raise CallError(StatusCode.RESOURCE_EXHAUSTED, "The account has the maximum number of caches")
        self._caches[name] = self._new_cache(name)
        self._save()

    def delete(self, name: str) -> None:
        """Delete a cache and end its live streams; raises NOT_FOUND."""
        self.get(name).topics.end_streams(cache_not_found(name))
        del self._caches[name]
        if self._item_file is not None:
            self._item_file.drop(name)
        self._save()

    def live_streams(self) -> int:
        return sum(len(topic.subscriptions) for _, cache in self for _, topic in cache.topics)

    def end_streams(self, error: CallError | None) -> int:
        """End all live streams, cleanly or with `error`; returns how many."""
        return sum(cache.topics.end_streams(error) for _, cache in self)

    def save_items(self) -> None:
        """Write the items that have changed to the file that keeps them, if there is one."""
        if self._item_file is not None:
            self._item_file.save(self._item)

    def _item(self, cache: str, key: bytes) -> Value | Dictionary | None:
        return self._caches[cache].items.peek(key)

    def _new_cache(self, name: str) -> Cache:
        topics = Topics(self._settings, self.topic_operations)
        if self._item_file is None:
            return Cache(Items(self._settings), topics)
        items = Items(self._settings, on_change=partial(self._item_file.note, name))
        items.restore(self._item_file.items(name))
        return Cache(items, topics)

    def _save(self) -> None:
        self._state.caches = set(self._caches)
        self._state.save()
