"""The items of one cache: values and dictionaries with a time to live, bounded in bytes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from grpc import StatusCode

from local.momento.errors import CallError
from local.momento.settings import Settings

Condition = Callable[[bytes | None], bool]


@dataclass(slots=True)
class Value:
    body: bytes
    expires_at: float

    def size_bytes(self) -> int:
        return len(self.body)


@dataclass(slots=True)
class Dictionary:
    expires_at: float
    fields: dict[bytes, bytes] = field(default_factory=dict)

    def size_bytes(self) -> int:
        return sum(len(name) + len(value) for name, value in self.fields.items())


class Items:
    """Values and dictionaries by key.

    Expired items are removed when they are read, and by `remove_expired`. Over the bound in bytes, the least recently
    used are removed.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[bytes], object] = lambda _key: None,
    ) -> None:
        """Start without items.

        :param clock: the time of day, because items may outlive the process.
        :param on_change: called with the key of each item that is set or removed.
        """
        self.used_bytes = 0
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._items: OrderedDict[bytes, Value | Dictionary] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def restore(self, items: Iterable[tuple[bytes, Value | Dictionary]]) -> None:
        """Take the items of an earlier process, which is no change of them. Expired ones are removed."""
        for key, item in items:
            self._items[key] = item
            self.used_bytes += len(key) + item.size_bytes()
        self.remove_expired()

    def peek(self, key: bytes) -> Value | Dictionary | None:
        """Return the item, which does not count as a use of it."""
        return self._items.get(key)

    def get(self, key: bytes) -> bytes | None:
        """Return the value; raises FAILED_PRECONDITION if the key has a dictionary."""
        found = self._live(key)
        if isinstance(found, Dictionary):
            raise _wrong_type()
        return None if found is None else found.body

    def set(self, key: bytes, body: bytes, ttl_seconds: float) -> None:
        self._store(key, Value(body, self._clock() + ttl_seconds))

    def set_if(self, key: bytes, body: bytes, ttl_seconds: float, condition: Condition) -> bool:
        """Set if `condition` is true of the current value (None: there is none); return whether it was set.

        Raises FAILED_PRECONDITION if the key has a dictionary.
        """
        if not condition(self.get(key)):
            return False
        self.set(key, body, ttl_seconds)
        return True

    def delete(self, key: bytes) -> None:
        removed = self._items.pop(key, None)
        if removed is not None:
            self.used_bytes -= len(key) + removed.size_bytes()
            self._on_change(key)

    def dictionary(self, key: bytes) -> Mapping[bytes, bytes] | None:
        """Return the dictionary; raises FAILED_PRECONDITION if the key has a value."""
        found = self._dictionary(key)
        return None if found is None else found.fields

    def set_fields(self, key: bytes, fields: Mapping[bytes, bytes], ttl_seconds: float, *, refresh_ttl: bool) -> None:
        """Add fields. A new dictionary always gets the time to live, an existing one only with `refresh_ttl`."""
        if not fields:
            return
        found = self._dictionary(key)
        expires_at = self._clock() + ttl_seconds
        if found is not None and not refresh_ttl:
            expires_at = found.expires_at
        self._store(key, Dictionary(expires_at, {**(found.fields if found else {}), **fields}))

    def remove_fields(self, key: bytes, fields: Iterable[bytes]) -> None:
        found = self._dictionary(key)
        if found is None:
            return
        removed = set(fields)
        remaining = {name: value for name, value in found.fields.items() if name not in removed}
        if remaining:
            self._store(key, Dictionary(found.expires_at, remaining))
        else:
            self.delete(key)

    def live(self) -> Iterator[tuple[bytes, Value | Dictionary]]:
        """Return the items that have not expired, by key. This does not count as a use of them."""
        now = self._clock()
        return ((key, found) for key, found in self._items.items() if found.expires_at > now)

    def remove_expired(self) -> None:
        """Remove the expired items."""
        now = self._clock()
        for key in [key for key, found in self._items.items() if found.expires_at <= now]:
            self.delete(key)

    def _live(self, key: bytes) -> Value | Dictionary | None:
        found = self._items.get(key)
        if found is None:
            return None
        if found.expires_at <= self._clock():
            self.delete(key)
            return None
        self._items.move_to_end(key)
        return found

    def _dictionary(self, key: bytes) -> Dictionary | None:
        found = self._live(key)
        if isinstance(found, Value):
            raise _wrong_type()
        return found

    def _store(self, key: bytes, item: Value | Dictionary) -> None:
        self.delete(key)
        self._items[key] = item
        self.used_bytes += len(key) + item.size_bytes()
        self._on_change(key)
        while self.used_bytes > self._settings.max_cache_bytes and len(self._items) > 1:
            self.delete(next(iter(self._items)))


def _wrong_type() -> CallError:
    return CallError(StatusCode.FAILED_PRECONDITION, "The key has an item of another type")
