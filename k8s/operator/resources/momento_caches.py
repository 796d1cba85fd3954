"""Momento clients of the operator, by the SSM parameter that contains the API key.

A client is opened at the first call that needs it, so that a stage without a cache of its own can be deleted after its
key was.
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
from k8s.operator.resources.clients import CacheControl
from k8s.operator.resources.errors import ResourceUnavailable
from notification_api import PermanentError
from services.common.momento.api_key import InvalidApiKey, credential_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from types_aiobotocore_ssm import SSMClient

logger = logging.getLogger(__name__)

A = TypeVar("A")

KEY_SECONDS = 300.0
"""The age at which a key is read again."""
MAX_CLIENTS = 4
MAX_PARAMETERS = 1_000
LISTING_SECONDS = 2.0
"""The age at which caches are listed again."""
CALL_INTERVAL_SECONDS = 0.3
"""Between two control calls with one key."""
_REFUSED = {MomentoErrorCode.AUTHENTICATION_ERROR, MomentoErrorCode.PERMISSION_ERROR}


@dataclass
class _OpenClient:
    client: CacheClientAsync
    running_calls: int = 0
    is_retired: bool = False


@dataclass
class ControlState:
    """Serialises the control calls with one key, and keeps the latest list of caches."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_call_at: float = 0.0
    cache_names: set[str] | None = None
    listed_at: float = 0.0


class MomentoCaches:
    """Clients by key. At most `MAX_CLIENTS` stay open, the most recently used ones."""

    def __init__(self, ssm: "SSMClient", endpoint: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._ssm = ssm
        self._endpoint = endpoint
        self._clock = clock
        self._keys: dict[str, tuple[str, float]] = {}
        self._open: dict[str, _OpenClient] = {}
        self._states: dict[str, ControlState] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._open.values():
            await opened.client.__aexit__(None, None, None)
        self._open.clear()

    def with_key(self, parameter: str) -> CacheControl:
        """Cache control with the key in this parameter."""
        return StageCaches(self, parameter)

    def now(self) -> float:
        return self._clock()

    def state(self, parameter: str) -> ControlState:
        """Of a key. At most `MAX_PARAMETERS` are kept, the most recently used ones."""
        state = self._states.pop(parameter, None) or ControlState()
        self._states[parameter] = state
        while len(self._states) > MAX_PARAMETERS:
            self._states.pop(next(iter(self._states)))
        return state

    def discard_key(self, parameter: str) -> None:
        """Read the key again before its next use, since Momento refused it."""
        self._keys.pop(parameter, None)

    @asynccontextmanager
    async def client(self, parameter: str) -> "AsyncIterator[CacheClientAsync]":
        """A client with that key, open within the block."""
        key = await self._key(parameter)
        opened = self._opened(key)
        opened.running_calls += 1  # before the next await, so that it is not closed
        try:
            await self._close_beyond_bound()
            yield opened.client
        finally:
            opened.running_calls -= 1
            await self._close_retired(opened)

    async def _key(self, parameter: str) -> str:
        known = self._keys.get(parameter)
        if known and self._clock() - known[1] < KEY_SECONDS:
            return known[0]
        try:
            async with aws_call("ssm:GetParameter", parameter):
                answer = await self._ssm.get_parameter(Name=parameter, WithDecryption=True)
        except PermanentError as error:
            raise PermanentError(f"The Momento API key cannot be read: {error}") from error
        value = answer["Parameter"].get("Value", "").strip()
        now = self._clock()
        # Keys of stages that no longer exist are dropped here too.
        self._keys = {name: known for name, known in self._keys.items() if now - known[1] < KEY_SECONDS}
        self._keys[parameter] = (value, now)
        return value

    def _opened(self, key: str) -> _OpenClient:
        opened = self._open.pop(key, None)
        if opened is None:
            try:
                credentials = credential_provider(key, self._endpoint)
            except InvalidApiKey as error:
                raise PermanentError(str(error)) from error
            opened = _OpenClient(
                CacheClientAsync(Configurations.Laptop.v1(), credentials, default_ttl=timedelta(hours=1))
            )
        self._open[key] = opened  # last: the most recently used
        return opened

    async def _close_beyond_bound(self) -> None:
        while len(self._open) > MAX_CLIENTS:
            oldest = self._open.pop(next(iter(self._open)))
            oldest.is_retired = True
            await self._close_retired(oldest)

    async def _close_retired(self, opened: _OpenClient) -> None:
        if opened.is_retired and not opened.running_calls:
            await opened.client.__aexit__(None, None, None)


class StageCaches:
    """`CacheControl` for one stage.

    Momento allows few control calls a second, so they run one after another with an interval between, and stages share
    a list for `LISTING_SECONDS`. A cache that somebody creates in that time is still noticed: creating it then fails.
    """

    def __init__(self, pool: MomentoCaches, parameter: str) -> None:
        self._pool = pool
        self._parameter = parameter

    async def list_caches(self) -> ListCachesResponse:
        state = self._pool.state(self._parameter)
        async with state.lock:
            if state.cache_names is not None and self._pool.now() - state.listed_at < LISTING_SECONDS:
                return ListCaches.Success([CacheInfo(name) for name in sorted(state.cache_names)])
            answer = await self._call(state, lambda client: client.list_caches())
            if isinstance(answer, ListCaches.Success):
                state.cache_names, state.listed_at = {cache.name for cache in answer.caches}, self._pool.now()
            return answer

    async def create_cache(self, cache_name: str) -> CreateCacheResponse:
        state = self._pool.state(self._parameter)
        async with state.lock:
            answer = await self._call(state, lambda client: client.create_cache(cache_name))
            if isinstance(answer, CreateCache.Success) and state.cache_names is not None:
                state.cache_names.add(cache_name)
            return answer

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse:
        state = self._pool.state(self._parameter)
        async with state.lock:
            answer = await self._call(state, lambda client: client.delete_cache(cache_name))
            if isinstance(answer, DeleteCache.Success) and state.cache_names is not None:
                state.cache_names.discard(cache_name)
            return answer

    async def _call(self, state: ControlState, call: Callable[[CacheClientAsync], Awaitable[A]]) -> A:
        await asyncio.sleep(max(0.0, state.next_call_at - self._pool.now()))
        state.next_call_at = self._pool.now() + CALL_INTERVAL_SECONDS
        try:
            async with self._pool.client(self._parameter) as client:
                answer = await call(client)
        except (BotoCoreError, ClientError) as error:  # raised outside `aws_call`, such as for missing credentials
            raise ResourceUnavailable(f"The Momento API key {self._parameter} cannot be read: {error}") from error
        if isinstance(answer, ErrorResponseMixin):
            state.cache_names = None
            if answer.error_code in _REFUSED:
                self._pool.discard_key(self._parameter)
        return answer
