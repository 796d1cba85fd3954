"""The unmodified Momento SDK against an emulator, ready to use in tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from momento import (
    AuthClientAsync,
    CacheClientAsync,
    Configurations,
    TopicClientAsync,
    TopicConfigurations,
)
from momento.auth.access_control.disposable_token_scope import DisposableTokenProps, DisposableTokenScope
from momento.auth.credential_provider import CredentialProvider
from momento.config.auth_configurations import AuthConfigurations
from momento.responses import CreateCache, GenerateDisposableToken
from momento.utilities import ExpiresIn

from tests.support.processes.momento import MomentoEmulator

# A subscription gets the client's timeout as its deadline, and past that the SDK spins and freezes the event loop.
_LONGER_THAN_ANY_TEST = timedelta(hours=1)


@dataclass(frozen=True)
class MomentoSdk:
    """One credential's clients. `topics` publishes; `subscriber` is for nothing but subscriptions."""

    caches: CacheClientAsync
    topics: TopicClientAsync
    subscriber: TopicClientAsync
    auth: AuthClientAsync

    async def new_cache(self) -> str:
        """The name of a cache that no other test uses."""
        name = f"cache-{uuid4().hex[:12]}"
        created = await self.caches.create_cache(name)
        assert isinstance(created, CreateCache.Success), created
        return name

    async def vend(self, scope: DisposableTokenScope, *, seconds: int = 600, token_id: str | None = None) -> str:
        """A disposable token, as it travels in the metadata."""
        props = None if token_id is None else DisposableTokenProps(token_id)
        vended = await self.auth.generate_disposable_token(scope, ExpiresIn.seconds(seconds), props)
        assert isinstance(vended, GenerateDisposableToken.Success), vended
        return CredentialProvider.from_disposable_token(vended.auth_token).auth_token


@asynccontextmanager
async def open_momento_sdk(
    emulator: MomentoEmulator, token: str, *, timeout_seconds: float = 10.0
) -> AsyncIterator[MomentoSdk]:
    """Clients that call the emulator with `token` (an API key or a disposable token, without its wrapping)."""
    credentials = emulator.credentials(token)
    timeout = timedelta(seconds=timeout_seconds)
    topics = TopicConfigurations.Default.latest()
    async with AsyncExitStack() as stack:
        yield MomentoSdk(
            await stack.enter_async_context(
                CacheClientAsync(
                    Configurations.Laptop.latest().with_client_timeout(timeout), credentials, timedelta(seconds=60)
                )
            ),
            await stack.enter_async_context(TopicClientAsync(topics.with_client_timeout(timeout), credentials)),
            await stack.enter_async_context(
                TopicClientAsync(topics.with_client_timeout(_LONGER_THAN_ANY_TEST), credentials)
            ),
            await stack.enter_async_context(AuthClientAsync(AuthConfigurations.Laptop.latest(), credentials)),
        )
