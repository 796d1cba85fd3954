"""The gateway to Momento: publish, vend disposable tokens, and use the cache."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from momento.auth.access_control.disposable_token_scope import DisposableTokenProps
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.requests import CollectionTtl
from momento.responses import (
    CacheDelete,
    CacheDictionaryFetch,
    CacheDictionaryGetFields,
    CacheDictionaryRemoveFields,
    CacheDictionarySetFields,
    CacheGet,
    CacheSet,
    CacheSetIfNotExists,
    TopicPublish,
)
from momento.responses.auth.generate_disposable_token import GenerateDisposableToken
from momento.utilities import ExpiresIn

from services.common.aws.ssm_parameter import SsmParameter
from services.common.background import Background
from services.common.momento.calls import DEADLINE_SECONDS, MomentoCalls
from services.common.settings import MomentoSettings


@dataclass(frozen=True, slots=True)
class DisposableToken:
    """A token for a browser. `repr` does not contain it."""

    auth_token: str
    endpoint: str
    expires_at: int
    """Epoch seconds."""

    def __repr__(self) -> str:
        return f"DisposableToken(expires_at={self.expires_at})"


class Momento:
    """Calls to one Momento cache and its topics, with the current API key. Use within `running`.

    :param api_key: a parameter that refuses invalid keys.
    """

    def __init__(self, settings: MomentoSettings, api_key: SsmParameter, background: Background) -> None:
        self.cache_name = settings.cache_name
        self._api_key = api_key
        self._calls = MomentoCalls(settings, api_key, background)
        self.faults = self._calls.faults

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Momento"]:
        """Close the clients at the end of the block."""
        try:
            yield self
        finally:
            await self._calls.close()

    def readiness_problem(self) -> str | None:
        """Return why calls are impossible, for /readyz."""
        return self._api_key.readiness_problem()

    def api_key(self) -> str:
        """Return the current API key.

        :raises ParameterUnavailable: when it was never read.
        """
        return self._api_key.value()

    async def publish(self, topic: str, text: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Publish `text` to `topic`.

        :raises MomentoUnavailable: when it failed until the deadline.
        :raises MomentoRefused: when it can never succeed.
        """
        await self._calls.call(
            "publish",
            lambda clients: clients.topics.publish(self.cache_name, topic, text),
            TopicPublish.Success,
            deadline_seconds,
        )

    async def vend_subscriber_token(self, topic: str, *, valid_for_seconds: int, token_id: str) -> DisposableToken:
        """Vend a token that may only subscribe to `topic`. There is one attempt: the caller observes the quota.

        :raises MomentoUnavailable: when it failed.
        :raises MomentoRefused: when it can never succeed.
        """
        scope = DisposableTokenScopes.topic_subscribe_only(self.cache_name, topic)
        answer = await self._calls.call(
            "vend",
            lambda clients: clients.tokens.generate_disposable_token(
                scope, ExpiresIn.seconds(valid_for_seconds), DisposableTokenProps(token_id=token_id)
            ),
            GenerateDisposableToken.Success,
            retry=False,
        )
        return DisposableToken(answer.auth_token, answer.endpoint, int(answer.expires_at.epoch()))

    async def get(self, key: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> bytes | None:
        """Return the item at `key`, or None."""
        answer = await self._calls.call(
            "get",
            lambda clients: clients.cache.get(self.cache_name, key),
            (CacheGet.Hit, CacheGet.Miss),
            deadline_seconds,
        )
        return answer.value_bytes if isinstance(answer, CacheGet.Hit) else None

    async def set(
        self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Store `value` at `key`."""
        ttl = timedelta(seconds=ttl_seconds)
        await self._calls.call(
            "set",
            lambda clients: clients.cache.set(self.cache_name, key, value, ttl),
            CacheSet.Success,
            deadline_seconds,
        )

    async def set_if_absent(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Store `value` at `key` unless the key exists; return whether it was stored."""
        ttl = timedelta(seconds=ttl_seconds)
        answer = await self._calls.call(
            "set-if-absent",
            lambda clients: clients.cache.set_if_not_exists(self.cache_name, key, value, ttl),
            (CacheSetIfNotExists.Stored, CacheSetIfNotExists.NotStored),
        )
        return isinstance(answer, CacheSetIfNotExists.Stored)

    async def delete(self, key: str) -> None:
        """Remove the item at `key`, if it exists."""
        await self._calls.call(
            "delete", lambda clients: clients.cache.delete(self.cache_name, key), CacheDelete.Success
        )

    async def dictionary_set(
        self,
        name: str,
        field: str,
        value: bytes,
        *,
        ttl_seconds: float,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Set one field; the whole dictionary then expires in `ttl_seconds`."""
        ttl = CollectionTtl(timedelta(seconds=ttl_seconds), refresh_ttl=True)
        await self._calls.call(
            "dictionary-set",
            lambda clients: clients.cache.dictionary_set_fields(self.cache_name, name, {field: value}, ttl=ttl),
            CacheDictionarySetFields.Success,
            deadline_seconds,
        )

    async def dictionary_get(
        self, name: str, field: str, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> bytes | None:
        """Return one field, or None."""
        answer = await self._calls.call(
            "dictionary-get",
            lambda clients: clients.cache.dictionary_get_fields(self.cache_name, name, [field]),
            (CacheDictionaryGetFields.Hit, CacheDictionaryGetFields.Miss),
            deadline_seconds,
        )
        if not isinstance(answer, CacheDictionaryGetFields.Hit):
            return None
        return answer.value_dictionary_string_bytes.get(field)

    async def dictionary_fetch(self, name: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> Mapping[str, bytes]:
        """Return all fields; none for a missing dictionary."""
        answer = await self._calls.call(
            "dictionary-fetch",
            lambda clients: clients.cache.dictionary_fetch(self.cache_name, name),
            (CacheDictionaryFetch.Hit, CacheDictionaryFetch.Miss),
            deadline_seconds,
        )
        return answer.value_dictionary_string_bytes if isinstance(answer, CacheDictionaryFetch.Hit) else {}

    async def dictionary_remove(
        self, name: str, fields: list[str], *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Remove fields; missing ones are ignored."""
        await self._calls.call(
            "dictionary-remove",
            lambda clients: clients.cache.dictionary_remove_fields(self.cache_name, name, fields),
            CacheDictionaryRemoveFields.Success,
            deadline_seconds,
        )
