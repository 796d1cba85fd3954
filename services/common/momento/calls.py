"""Calls to the SDK: a deadline, retries with jitter, the current API key, and a checked result.

The SDK alone has none of these: ``generate_disposable_token`` may hang for ever, a publish to a closed port fails after
one attempt, and a rotated key is not noticed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from momento.responses.mixins import ErrorResponseMixin

from services.common.aws.ssm_parameter import SsmParameter
from services.common.background import Background
from services.common.backoff import backoff_seconds
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
from services.common.telemetry.spans import SpanKind
from services.common.telemetry.tracing import exemplar, span

R = TypeVar("R")

ATTEMPT_SECONDS = 2.0
DEADLINE_SECONDS = 5.0
RETRY_BASE_SECONDS = 0.05
RETRY_CAP_SECONDS = 1.0


class MomentoCalls:
    """Makes the gateway's calls, and records their faults and metrics."""

    def __init__(self, settings: MomentoSettings, api_key: SsmParameter, background: Background) -> None:
        self.faults = CallFaults()
        self._cache_name = settings.cache_name
        self._api_key = api_key
        self._background = background
        self._switch = ClientSwitch(
            lambda key: Clients(credential_provider(key, settings.endpoint), ATTEMPT_SECONDS),
            lambda old: background.spawn("momento-drain", old.close(DRAIN_SECONDS)),
        )

    async def close(self) -> None:
        """Close the clients."""
        await self._switch.close()

    async def call(
        self,
        operation: str,
        invoke: Callable[[Clients], Awaitable[object]],
        expected: type[R] | tuple[type[R], ...],
        deadline_seconds: float = DEADLINE_SECONDS,
        *,
        retry: bool = True,
    ) -> R:
        """Call the SDK and return its checked response.

        :param invoke: makes one attempt with the current clients.
        :param expected: the SDK's types of a successful response.
        :param deadline_seconds: for all attempts together.
        :raises MomentoUnavailable: when it failed until the deadline; of the kind of the last attempt that ended.
        :raises MomentoRefused: when it can never succeed.
        """
        with span(operation, SpanKind.PRODUCER if operation == "publish" else SpanKind.CLIENT) as called:
            called.set({"peer.service": "momento", "momento.cache": self._cache_name})
            retries = _Retries(deadline_seconds if retry else 0.0)
            try:
                async with asyncio.timeout(deadline_seconds):
                    while True:
                        try:
                            return await self._attempt(operation, invoke, expected)
                        except MomentoUnavailable as error:
                            pause_seconds = retries.pause_after(error)
                        await asyncio.sleep(pause_seconds)
            except TimeoutError:
                failure = retries.failure
                text = f"{operation}: no success within {deadline_seconds:g} s: {failure}"
                raise type(failure)(text) from None

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
            self.faults.record_success(operation)
            return answer
        except MomentoRefused:
            self.faults.record_success(operation)  # it answered
            raise
        except MomentoUnavailable as error:
            self.faults.record_failure(operation, fault_of(operation, error, self._api_key.name, self._cache_name))
            if not isinstance(error, MomentoKeyRefused):
                raise
            # Shielded, since callers share this read and it is limited in rate: it must not end with one of them.
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
            raise MomentoUnavailable(f"{operation}: no response within {ATTEMPT_SECONDS:g} s") from None
        except Exception as error:  # the SDK returns errors instead of raising them, so this is a bug in it
            raise MomentoUnavailable(f"{operation}: {type(error).__name__}: {error}") from error
        if isinstance(answer, ErrorResponseMixin):
            raise from_sdk(operation, answer.inner_exception)
        if not isinstance(answer, expected):
            raise MomentoRefused(f"{operation}: the SDK returned a {type(answer).__name__}")
        return answer


class _Retries:
    """Decides about the retries of one call."""

    def __init__(self, seconds: float) -> None:
        self.failure = MomentoUnavailable("no attempt has ended")
        self._until = time.monotonic() + seconds
        self._failures = 0

    def pause_after(self, failure: MomentoUnavailable) -> float:
        """Return the seconds until the next attempt; raise `failure` if there is no time for one."""
        self.failure = failure
        self._failures += 1
        pause_seconds = backoff_seconds(
            self._failures, base_seconds=RETRY_BASE_SECONDS, cap_seconds=RETRY_CAP_SECONDS, least_share=0
        )
        if time.monotonic() + pause_seconds >= self._until:
            raise failure
        return pause_seconds
