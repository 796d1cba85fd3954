"""Background tasks: each has an owner, and one that fails stops the service."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.common import background as background_module
from services.common.background import Background


class Stops:
    """Counts the requests to stop the service."""

    def __init__(self) -> None:
        self.count = 0
        self.requested = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self.requested.set()


@pytest.fixture
async def stops() -> Stops:
    return Stops()


async def forever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise RuntimeError("out of ideas")


def failures(name: str) -> float:
    return REGISTRY.get_sample_value("notification_api_background_failures_total", {"task": name}) or 0.0


async def test_a_task_that_fails_stops_the_service_and_is_counted(
    stops: Stops, caplog: pytest.LogCaptureFixture
) -> None:
    before = failures("worker")
    Background(stops).spawn("worker", fails())
    async with asyncio.timeout(10):
        await stops.requested.wait()
    assert stops.count == 1
    assert failures("worker") == before + 1
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.task == "worker"  # type: ignore[attr-defined]
    assert record.exc_info is not None


async def test_an_awaited_task_may_fail(stops: Stops) -> None:
    task = Background(stops).spawn("vending", fails(), may_fail=True)
    with pytest.raises(RuntimeError, match="out of ideas"):
        await task
    assert stops.count == 0


async def test_a_failed_task_that_is_no_longer_awaited_is_no_warning(stops: Stops) -> None:
    task = Background(stops).spawn("vending", fails(), may_fail=True)
    await asyncio.wait([task])
    del task  # an exception that was never retrieved would be a warning here, and warnings are errors
    assert stops.count == 0


async def test_a_task_that_ends_well_is_no_failure(stops: Stops) -> None:
    task = Background(stops).spawn("once", asyncio.sleep(0, "done"))
    assert await task == "done"
    assert stops.count == 0


async def test_a_block_ends_its_task(stops: Stops) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await forever()
        finally:
            ended.set()

    async with Background(stops).running("work", work()):
        await began.wait()
        assert not ended.is_set()
    assert ended.is_set()
    assert stops.count == 0


async def returns() -> None:
    await asyncio.sleep(0)


async def cancels_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("work", "how"),
    [(returns, "returned"), (cancels_itself, "cancelled itself"), (fails, "failed")],
)
async def test_work_that_ends_before_its_block_stops_the_service(
    stops: Stops, caplog: pytest.LogCaptureFixture, work: Callable[[], Coroutine[Any, Any, None]], how: str
) -> None:
    before = failures("loop")
    async with Background(stops).running("loop", work()), asyncio.timeout(10):
        await stops.requested.wait()
    assert (stops.count, failures("loop")) == (1, before + 1)
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert how in record.message


async def test_a_block_that_raises_ends_its_task_too(stops: Stops) -> None:
    background = Background(stops)
    with pytest.raises(KeyError):
        async with background.running("work", forever()):
            raise KeyError
    assert background._tasks == set()


async def test_closing_ends_every_task(stops: Stops) -> None:
    background = Background(stops)
    tasks = [background.spawn("a", forever()), background.spawn("b", forever(), may_fail=True)]
    await background.close()
    assert all(task.cancelled() for task in tasks)
    assert background._tasks == set()
    assert stops.count == 0
    await background.close()


async def test_a_task_that_fails_while_it_is_cancelled_is_a_failure(stops: Stops) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise RuntimeError("failed when cancelled") from None

    background = Background(stops)
    background.spawn("worker", fails_when_cancelled())
    await asyncio.sleep(0)
    await background.close()
    assert stops.count == 1


async def test_a_task_that_does_not_stop_is_logged(
    stops: Stops, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_module, "CLOSE_SECONDS", 0.02)
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    background = Background(stops)
    task = background.spawn("stubborn", stubborn())
    await asyncio.sleep(0)
    await background.close()
    (record,) = [record for record in caplog.records if "does not stop" in record.message]
    assert record.task == "stubborn"  # type: ignore[attr-defined]
    released.set()
    await task
