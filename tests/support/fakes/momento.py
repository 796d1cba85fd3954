"""A small fake of `services.common.momento.gateway.Momento`: a dictionary as its cache, and errors on demand."""

from collections.abc import Mapping
from typing import cast

from services.common.momento.gateway import DisposableToken, Momento


class FakeMomento:
    """Raises `error` from every call while it is set."""

    def __init__(self, *, key: str = "key-1", now: float = 0.0) -> None:
        self.items: dict[str, bytes] = {}
        self.ttls: dict[str, float] = {}
        self.dictionaries: dict[str, dict[str, bytes]] = {}
        self.calls: list[str] = []
        self.vended: list[tuple[str, int, str]] = []
        self.published: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.key = key
        self.now = now

    def as_momento(self) -> Momento:
        """This object, typed as the real class."""
        return cast("Momento", self)

    def api_key(self) -> str:
        return self.key

    async def publish(self, topic: str, text: str, *, deadline_seconds: float = 5.0) -> None:
        self._call("publish")
        self.published.append((topic, text))

    async def get(self, key: str, *, deadline_seconds: float = 5.0) -> bytes | None:
        self._call("get")
        return self.items.get(key)

    async def set(self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0) -> None:
        self._call("set")
        self.items[key], self.ttls[key] = value, ttl_seconds

    async def set_if_absent(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        self._call("set-if-absent")
        if key in self.items:
            return False
        self.items[key], self.ttls[key] = value, ttl_seconds
        return True

    async def vend_subscriber_token(self, topic: str, *, valid_for_seconds: int, token_id: str) -> DisposableToken:
        self._call("vend")
        self.vended.append((topic, valid_for_seconds, token_id))
        return DisposableToken(f"token {len(self.vended)}", "momento.example", int(self.now) + valid_for_seconds)

    async def dictionary_set(
        self, name: str, field: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0
    ) -> None:
        self._call("dictionary-set")
        self.dictionaries.setdefault(name, {})[field], self.ttls[name] = value, ttl_seconds

    async def dictionary_get(self, name: str, field: str, *, deadline_seconds: float = 5.0) -> bytes | None:
        self._call("dictionary-get")
        return self.dictionaries.get(name, {}).get(field)

    async def dictionary_fetch(self, name: str, *, deadline_seconds: float = 5.0) -> Mapping[str, bytes]:
        self._call("dictionary-fetch")
        return dict(self.dictionaries.get(name, {}))

    async def dictionary_remove(self, name: str, fields: list[str], *, deadline_seconds: float = 5.0) -> None:
        self._call("dictionary-remove")
        for field in fields:
            self.dictionaries.get(name, {}).pop(field, None)

    def _call(self, operation: str) -> None:
        self.calls.append(operation)
        if self.error is not None:
            raise self.error
