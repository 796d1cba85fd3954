"""Momento's cache control, by the SSM parameter that holds the key; opened at the first call that needs it.

Lazy, so that a stage which made no cache can be removed while its key is gone.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from momento import CacheClientAsync
from momento.config import Configurations
from momento.errors import MomentoErrorCode
from momento.responses import CreateCache, DeleteCache, ListCaches
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import CacheInfo, ListCachesResponse
from momento.responses.mixins import ErrorResponseMixin

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.cache import CacheControl
from k8s.operator.resources.errors import NotFound, Permanent, ResourceUnavailable
from services.common.momento.api_key import InvalidApiKey, credential_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from types_aiobotocore_ssm import SSMClient

logger = logging.getLogger(__name__)

A = TypeVar("A")

KEY_SECONDS = 300.0
"""How long a key is believed before it is read again."""
MAX_CLIENTS = 4
MAX_PARAMETERS = 1_000
LISTING_SECONDS = 2.0
PAUSE_SECONDS = 0.3
"""Between control calls with one key."""
_REFUSED = {MomentoErrorCode.AUTHENTICATION_ERROR, MomentoErrorCode.PERMISSION_ERROR}


@dataclass
class _Open:
    client: CacheClientAsync
    calls: int = 0
    retired: bool = False


@dataclass
class Turns:
    """Control calls with one key, one after the other, and the caches that were there when last listed."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_at: float = 0.0
    listed: set[str] | None = None
    listed_at: float = 0.0


class MomentoCaches:
    """Clients by key. Few keys are in use at a time; the least lately used one beyond `MAX_CLIENTS` is closed."""

    def __init__(self, ssm: "SSMClient", endpoint: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._ssm = ssm
        self._endpoint = endpoint
        self._clock = clock
        self._keys: dict[str, tuple[str, float]] = {}
        self._open: dict[str, _Open] = {}
        self._turns: dict[str, Turns] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._open.values():
            await opened.client.__aexit__(None, None, None)
        self._open.clear()

    def of(self, parameter: str) -> CacheControl:
        """Cache control with the key of this parameter."""
        return StageCaches(self, parameter)

    def now(self) -> float:
        return self._clock()

    def turns(self, parameter: str) -> Turns:
        """The turns of a key: bounded, since a parameter not used of late is forgotten with its listing."""
        turns = self._turns.pop(parameter, None) or Turns()
        self._turns[parameter] = turns
        while len(self._turns) > MAX_PARAMETERS:
            self._turns.pop(next(iter(self._turns)))
        return turns

    def forget(self, parameter: str) -> None:
        """Read the key again before its next use: it was refused."""
        self._keys.pop(parameter, None)

    @asynccontextmanager
    async def client(self, parameter: str) -> "AsyncIterator[CacheClientAsync]":
        """The client of that key, open for the length of the block."""
        key = await self._key(parameter)
        opened = self._opened(key)
        opened.calls += 1  # in the same moment, so that nobody closes it
        try:
            await self._close_beyond_bound()
            yield opened.client
        finally:
            opened.calls -= 1
            await self._close_retired(opened)

    async def _key(self, parameter: str) -> str:
        known = self._keys.get(parameter)
        if known and self._clock() - known[1] < KEY_SECONDS:
            return known[0]
        try:
            async with aws_call("ssm:GetParameter", parameter):
                answer = await self._ssm.get_parameter(Name=parameter, WithDecryption=True)
        except (NotFound, Permanent) as error:
            raise Permanent(f"The Momento API key cannot be read: {error}") from error
        value = answer["Parameter"].get("Value", "").strip()
        now = self._clock()
        # Those of stages that are gone go as well: no key is kept for longer than it is believed, and one reading more.
        self._keys = {name: known for name, known in self._keys.items() if now - known[1] < KEY_SECONDS}
        self._keys[parameter] = (value, now)
        return value

    def _opened(self, key: str) -> _Open:
        opened = self._open.pop(key, None)
        if opened is None:
            try:
                credentials = credential_provider(key, self._endpoint)
            except InvalidApiKey as error:
                raise Permanent(str(error)) from error
            opened = _Open(CacheClientAsync(Configurations.Laptop.v1(), credentials, default_ttl=timedelta(hours=1)))
        self._open[key] = opened  # the most lately used is the last
        return opened

    async def _close_beyond_bound(self) -> None:
        while len(self._open) > MAX_CLIENTS:
            oldest = self._open.pop(next(iter(self._open)))
            oldest.retired = True
            await self._close_retired(oldest)

    async def _close_retired(self, opened: _Open) -> None:
        if opened.retired and not opened.calls:
            await opened.client.__aexit__(None, None, None)


class StageCaches:
    """`k8s.operator.resources.cache.CacheControl` for one stage.

    Momento allows few control calls a second, so they take turns with a pause between, and stages share a list that
    is moments old. A cache that somebody makes in such a moment is still found: creating it then fails.
    """

    def __init__(self, pool: MomentoCaches, parameter: str) -> None:
        self._pool = pool
        self._parameter = parameter

    async def list_caches(self) -> ListCachesResponse:
        turns = self._pool.turns(self._parameter)
        async with turns.lock:
            if turns.listed is not None and self._pool.now() - turns.listed_at < LISTING_SECONDS:
                return ListCaches.Success([CacheInfo(name) for name in sorted(turns.listed)])
            answer = await self._call(turns, lambda client: client.list_caches())
            if isinstance(answer, ListCaches.Success):
                turns.listed, turns.listed_at = {cache.name for cache in answer.caches}, self._pool.now()
            return answer

    async def create_cache(self, cache_name: str) -> CreateCacheResponse:
        turns = self._pool.turns(self._parameter)
        async with turns.lock:
            answer = await self._call(turns, lambda client: client.create_cache(cache_name))
            if isinstance(answer, CreateCache.Success) and turns.listed is not None:
                turns.listed.add(cache_name)
            return answer

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse:
        turns = self._pool.turns(self._parameter)
        async with turns.lock:
            answer = await self._call(turns, lambda client: client.delete_cache(cache_name))
            if isinstance(answer, DeleteCache.Success) and turns.listed is not None:
                turns.listed.discard(cache_name)
            return answer

    async def _call(self, turns: Turns, call: Callable[[CacheClientAsync], Awaitable[A]]) -> A:
        await asyncio.sleep(max(0.0, turns.next_at - self._pool.now()))
        turns.next_at = self._pool.now() + PAUSE_SECONDS
        try:
            async with self._pool.client(self._parameter) as client:
                answer = await call(client)
        except (BotoCoreError, ClientError) as error:  # from outside a wrapped call: credentials, say
            raise ResourceUnavailable(f"The Momento API key {self._parameter} cannot be read: {error}") from error
        if isinstance(answer, ErrorResponseMixin):
            turns.listed = None
            if answer.error_code in _REFUSED:
                self._pool.forget(self._parameter)
        return answer
