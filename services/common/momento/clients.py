"""The SDK's clients for an API key, and the change to another key without a failed call.

A client of the SDK (momento 1.29.1) keeps its key, so a new key needs new clients. The old ones are closed when their
last call has ended.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from momento import AuthClientAsync, CacheClientAsync, CredentialProvider, TopicClientAsync
from momento.config import Configurations, TopicConfigurations
from momento.config.auth_configurations import AuthConfigurations
from momento.retry import FixedCountRetryStrategy

from services.common.telemetry.metrics import MOMENTO_CLIENT_SWAPS

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
# `MomentoCalls` retries: retries in two layers multiply.
_NO_RETRY = FixedCountRetryStrategy(max_attempts=0)


class Clients:
    """The topic, token and cache clients of one key. Call them within `in_use`."""

    def __init__(self, credentials: CredentialProvider, call_seconds: float) -> None:
        deadline = timedelta(seconds=call_seconds)
        cache_configuration = Configurations.InRegion.Default.v1().with_client_timeout(deadline)
        self.topics = TopicClientAsync(TopicConfigurations.Default.v1().with_client_timeout(deadline), credentials)
        self.tokens = AuthClientAsync(AuthConfigurations.InRegion.Default.v1(), credentials)
        self.cache = CacheClientAsync(
            cache_configuration.with_retry_strategy(_NO_RETRY), credentials, default_ttl=timedelta(hours=24)
        )
        _build_stubs_once(self.cache)
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator["Clients"]:
        """Keep the clients open during a call."""
        self._calls += 1
        self._idle.clear()
        try:
            yield self
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def close(self, drain_seconds: float) -> None:
        """Wait for the calls in progress, for `drain_seconds` at most, and close."""
        async with AsyncExitStack() as stack:
            for client in (self.topics, self.tokens, self.cache):
                await stack.enter_async_context(client)  # the SDK closes a client at the end of its context
            try:
                async with asyncio.timeout(drain_seconds):
                    await self._idle.wait()
            except TimeoutError:
                logger.warning("calls with the old Momento key were cut off", extra={"action": "key-swap"})


def _build_stubs_once(cache: CacheClientAsync) -> None:
    """Keep the gRPC stub of each channel. The SDK builds one, with its 45 methods, for every call."""
    for client in cache._data_clients:
        stub = client._grpc_manager.async_stub()
        client._grpc_manager.async_stub = lambda stub=stub: stub  # type: ignore[method-assign,misc]


class ClientSwitch:
    """Owns the clients of the current key."""

    def __init__(self, make: Callable[[str], Clients], retire: Callable[[Clients], object]) -> None:
        self._make = make
        self._retire = retire
        self._key: str | None = None
        self._clients: Clients | None = None

    def clients(self, key: str) -> Clients:
        """Return the clients for `key`, and retire those of the key before."""
        if self._clients is not None and key == self._key:
            return self._clients
        fresh = self._make(key)
        if self._clients is not None:
            logger.info("a new Momento API key is in use", extra={"action": "key-swap"})
            MOMENTO_CLIENT_SWAPS.inc()
            self._retire(self._clients)
        self._key, self._clients = key, fresh
        return fresh

    async def close(self) -> None:
        """Close the current clients."""
        if self._clients is not None:
            await self._clients.close(drain_seconds=1.0)
            self._clients = None
