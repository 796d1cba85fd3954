"""The gateway to Momento: every call has a deadline, a jittered retry (but vending) and a checked result.

The SDK alone has none of these: ``generate_disposable_token`` hangs for ever, a publish to a dead port fails once,
and a rotated key is never noticed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

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
from momento.responses.mixins import ErrorResponseMixin
from momento.utilities import ExpiresIn
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from services.common.aws.ssm_parameter import Parameter
from services.common.background import Background
from services.common.momento.api_key import credential_provider
from services.common.momento.clients import DRAIN_SECONDS, Clients, ClientSwitch
from services.common.momento.errors import (
    MomentoKeyRefused,
    MomentoRefused,
    MomentoUnavailable,
    fault_of,
    from_sdk,
)
from services.common.settings import MomentoSettings
from services.common.telemetry.faults import CallFaults
from services.common.telemetry.metrics import MOMENTO_CALL_SECONDS, MOMENTO_CALLS
from services.common.telemetry.tracing import SpanKind, exemplar, span

R = TypeVar("R")

ATTEMPT_SECONDS = 2.0
DEADLINE_SECONDS = 5.0
RETRY_BASE_SECONDS = 0.05
RETRY_CAP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DisposableToken:
    """A token for a browser; `repr` shows no secret."""

    auth_token: str
    endpoint: str
    expires_at: int
    """Epoch seconds."""

    def __repr__(self) -> str:
        return f"DisposableToken(expires_at={self.expires_at})"


class Momento:
    """Calls to one Momento cache and its topics, with whatever API key is in force.

    :param api_key: one that takes no value which can be no key.
    """

    def __init__(self, settings: MomentoSettings, api_key: Parameter, background: Background) -> None:
        self.cache_name = settings.cache_name
        self.faults = CallFaults()
        """What is wrong with the calls."""
        self._api_key = api_key
        self._background = background
        self._switch = ClientSwitch(
            lambda key: Clients(credential_provider(key, settings.endpoint), ATTEMPT_SECONDS),
            lambda old: background.spawn("momento-drain", old.close(DRAIN_SECONDS)),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Momento"]:
        """Close the clients at the end of the block."""
        try:
            yield self
        finally:
            await self._switch.close()

    def readiness_problem(self) -> str | None:
        """Say why no call can be made, for /readyz."""
        return self._api_key.readiness_problem()

    def api_key(self) -> str:
        """Return the key in force, for deriving others from it.

        :raises ParameterUnavailable: when it was never read.
        """
        return self._api_key.value()

    async def publish(self, topic: str, text: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Publish `text` to `topic`.

        :raises MomentoUnavailable: when it could not be done before the deadline.
        :raises MomentoRefused: when it never can.
        """
        await self._call(
            "publish",
            lambda clients: clients.topics.publish(self.cache_name, topic, text),
            TopicPublish.Success,
            deadline_seconds,
        )

    async def vend_subscriber_token(self, topic: str, *, valid_for_seconds: int, token_id: str) -> DisposableToken:
        """Vend a token that may subscribe to `topic` and nothing else; tried once, since the quota is the caller's.

        :raises MomentoUnavailable: when it could not be done this time.
        :raises MomentoRefused: when it never can.
        """
        scope = DisposableTokenScopes.topic_subscribe_only(self.cache_name, topic)
        answer = await self._call(
            "vend",
            lambda clients: clients.tokens.generate_disposable_token(
                scope, ExpiresIn.seconds(valid_for_seconds), DisposableTokenProps(token_id=token_id)
            ),
            GenerateDisposableToken.Success,
            once=True,
        )
        return DisposableToken(answer.auth_token, answer.endpoint, int(answer.expires_at.epoch()))

    async def get(self, key: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> bytes | None:
        """Return the item at `key`, or None."""
        answer = await self._call(
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
        await self._call(
            "set",
            lambda clients: clients.cache.set(self.cache_name, key, value, ttl),
            CacheSet.Success,
            deadline_seconds,
        )

    async def set_if_absent(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Store `value` at `key` unless something is there; say whether it was stored."""
        ttl = timedelta(seconds=ttl_seconds)
        answer = await self._call(
            "set-if-absent",
            lambda clients: clients.cache.set_if_not_exists(self.cache_name, key, value, ttl),
            (CacheSetIfNotExists.Stored, CacheSetIfNotExists.NotStored),
        )
        return isinstance(answer, CacheSetIfNotExists.Stored)

    async def delete(self, key: str) -> None:
        """Remove the item at `key`, if it is there."""
        await self._call("delete", lambda clients: clients.cache.delete(self.cache_name, key), CacheDelete.Success)

    async def dictionary_set(
        self,
        name: str,
        field: str,
        value: bytes,
        *,
        ttl_seconds: float,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Set one field; the whole dictionary then lives `ttl_seconds` from now."""
        ttl = CollectionTtl(timedelta(seconds=ttl_seconds), refresh_ttl=True)
        await self._call(
            "dictionary-set",
            lambda clients: clients.cache.dictionary_set_fields(self.cache_name, name, {field: value}, ttl=ttl),
            CacheDictionarySetFields.Success,
            deadline_seconds,
        )

    async def dictionary_get(
        self, name: str, field: str, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> bytes | None:
        """Return one field, or None."""
        answer = await self._call(
            "dictionary-get",
            lambda clients: clients.cache.dictionary_get_fields(self.cache_name, name, [field]),
            (CacheDictionaryGetFields.Hit, CacheDictionaryGetFields.Miss),
            deadline_seconds,
        )
        if not isinstance(answer, CacheDictionaryGetFields.Hit):
            return None
        return answer.value_dictionary_string_bytes.get(field)

    async def dictionary_fetch(self, name: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> Mapping[str, bytes]:
        """Return all fields; an absent dictionary is an empty one."""
        answer = await self._call(
            "dictionary-fetch",
            lambda clients: clients.cache.dictionary_fetch(self.cache_name, name),
            (CacheDictionaryFetch.Hit, CacheDictionaryFetch.Miss),
            deadline_seconds,
        )
        return answer.value_dictionary_string_bytes if isinstance(answer, CacheDictionaryFetch.Hit) else {}

    async def dictionary_remove(
        self, name: str, fields: list[str], *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Remove fields; absent ones are no error."""
        await self._call(
            "dictionary-remove",
            lambda clients: clients.cache.dictionary_remove_fields(self.cache_name, name, fields),
            CacheDictionaryRemoveFields.Success,
            deadline_seconds,
        )

    async def _call(
        self,
        operation: str,
        invoke: Callable[[Clients], Awaitable[object]],
        expected: type[R] | tuple[type[R], ...],
        deadline_seconds: float = DEADLINE_SECONDS,
        *,
        once: bool = False,
    ) -> R:
        """Call with retries until `deadline_seconds` have passed, or once."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(1) if once else stop_before_delay(deadline_seconds),
            wait=wait_random_exponential(multiplier=RETRY_BASE_SECONDS, max=RETRY_CAP_SECONDS),
            retry=retry_if_exception_type(MomentoUnavailable),
            reraise=True,
        )
        with span(operation, SpanKind.PRODUCER if operation == "publish" else SpanKind.CLIENT) as called:
            called.set({"peer.service": "momento", "momento.cache": self.cache_name})
            try:
                async with asyncio.timeout(deadline_seconds):
                    return await retrying(self._attempt, operation, invoke, expected)
            except TimeoutError:
                raise MomentoUnavailable(f"{operation}: not done within {deadline_seconds:g} s") from None

    async def _attempt(
        self,
        operation: str,
        invoke: Callable[[Clients], Awaitable[object]],
        expected: type[R] | tuple[type[R], ...],
    ) -> R:
        started = time.perf_counter()
        outcome = "error"
        try:
            answer = await self._invoke(operation, invoke, expected)
            outcome = "ok"
            self.faults.worked(operation)
            return answer
        except MomentoRefused:
            self.faults.worked(operation)  # it answered
            raise
        except MomentoUnavailable as error:
            self.faults.failed(operation, fault_of(operation, error, self._api_key.name, self.cache_name))
            if not isinstance(error, MomentoKeyRefused):
                raise
            # Callers share the reading, and it is limited in rate: it must outlast the deadline of any one of them.
            await asyncio.shield(
                self._background.spawn("momento-key-reread", self._api_key.refresh_now(), may_fail=True)
            )
            raise
        finally:
            MOMENTO_CALLS.labels(operation, outcome).inc()
            MOMENTO_CALL_SECONDS.labels(operation).observe(time.perf_counter() - started, exemplar())

    async def _invoke(
        self,
        operation: str,
        invoke: Callable[[Clients], Awaitable[object]],
        expected: type[R] | tuple[type[R], ...],
    ) -> R:
        clients = self._switch.clients(self._api_key.value())
        try:
            async with clients.in_use(), asyncio.timeout(ATTEMPT_SECONDS):
                answer = await invoke(clients)
        except TimeoutError:
            raise MomentoUnavailable(f"{operation}: no answer within {ATTEMPT_SECONDS:g} s") from None
        except Exception as error:  # the SDK answers errors instead of raising them, so this is a fault of its own
            raise MomentoUnavailable(f"{operation}: {type(error).__name__}: {error}") from error
        if isinstance(answer, ErrorResponseMixin):
            raise from_sdk(operation, answer.inner_exception)
        if not isinstance(answer, expected):
            raise MomentoRefused(f"{operation}: the SDK answered with a {type(answer).__name__}")
        return answer
