"""Probes of the services: a fault begins and ends without waiting for a user."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from services.common.aws.task_queue import QueueUnavailable
from services.common.momento.errors import MomentoKeyRefused
from services.common.telemetry.faults import MIN_FAILING_SECONDS, CallFaults, Cause, Fault
from services.ingest import probe as queue_probe
from services.token import probe as momento_probe
from tests.support.clock import ManualClock
from tests.support.waiting import wait_until


class Dependency:
    """Momento or a queue that works or not, as a test says."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = CallFaults(self.clock)
        self.error: Exception | None = None
        self.reason: str | None = None
        self.calls = 0

    def readiness_problem(self) -> str | None:
        return self.reason

    async def get(self, _key: str, **_options: float) -> None:
        await self._called("get")

    async def attributes(self, *_names: str) -> None:
        await self._called("attributes")

    async def _called(self, operation: str) -> None:
        self.calls += 1
        if self.error is None:
            self.faults.record_success(operation)
            return
        self.faults.record_failure(operation, Fault(Cause.MOMENTO_KEY_REFUSED, "refused"))
        raise self.error


@asynccontextmanager
async def running(probing: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(probing)
    yield
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_probe, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(momento_probe, "PROBE_SECONDS", 0.01)


async def test_token_detects_a_revoked_key_and_its_replacement_without_a_request() -> None:
    momento = Dependency()
    async with running(momento_probe.probe(cast("Any", momento))):
        await wait_until(lambda: momento.calls > 1)
        momento.error = MomentoKeyRefused("get")
        calls = momento.calls
        await wait_until(lambda: momento.calls > calls + 1)
        momento.clock.advance(MIN_FAILING_SECONDS)
        assert [fault.cause for fault in momento.faults.current()] == [Cause.MOMENTO_KEY_REFUSED]
        momento.error = None
        await wait_until(lambda: not momento.faults.current())


async def test_token_does_not_probe_before_it_has_a_key() -> None:
    momento = Dependency()
    momento.reason = "the parameter is not read yet"
    async with running(momento_probe.probe(cast("Any", momento))):
        await asyncio.sleep(0.1)
        assert momento.calls == 0
        momento.reason = None
        await wait_until(lambda: momento.calls > 0)


async def test_ingest_asks_sqs_only_while_sends_fail() -> None:
    queue = Dependency()
    async with running(queue_probe.probe(cast("Any", queue))):
        await asyncio.sleep(0.1)
        assert queue.calls == 0
        queue.error = QueueUnavailable("attributes")
        queue.faults.record_failure("send", Fault(Cause.QUEUE_UNREACHABLE, "SQS is unreachable"))
        queue.clock.advance(MIN_FAILING_SECONDS)
        await wait_until(lambda: queue.calls > 1)
        queue.error = None
        queue.clock.advance(60)
        await wait_until(lambda: not queue.faults.current())
        calls = queue.calls
        await asyncio.sleep(0.1)
        assert queue.calls <= calls + 1
