"""Possible poison pills run one at a time, and those that crashed while isolated come last."""

import asyncio
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from notification_api import PermanentError
from services.processor.delivery.isolation import Isolation


class Runs:
    def __init__(self) -> None:
        self.isolation = Isolation()
        self.begun: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}

    def start(self, name: str, *, crashed_isolated: bool = False) -> "asyncio.Task[None]":
        self.may_end[name] = asyncio.Event()
        return asyncio.create_task(self._run(name, crashed_isolated=crashed_isolated))

    async def _run(self, name: str, *, crashed_isolated: bool) -> None:
        await self.isolation.acquire(crashed_isolated=crashed_isolated)
        try:
            self.begun.append(name)
            await self.may_end[name].wait()
        finally:
            await self.isolation.release()


@pytest.fixture
def runs() -> Runs:
    return Runs()


async def let_tasks_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_runs_at_a_time(runs: Runs) -> None:
    tasks = [runs.start(name) for name in "abc"]
    for number, name in enumerate("abc", 1):
        await let_tasks_run()
        assert runs.begun == list("abc")[:number]
        runs.may_end[name].set()
    await asyncio.gather(*tasks)


async def test_those_that_crashed_isolated_come_last(runs: Runs) -> None:
    tasks = [runs.start("a"), runs.start("pill", crashed_isolated=True), runs.start("b")]
    await let_tasks_run()
    for event in runs.may_end.values():
        event.set()
    await asyncio.gather(*tasks)
    assert runs.begun == ["a", "b", "pill"]


async def test_one_that_crashed_isolated_runs_at_once_when_no_other_waits(runs: Runs) -> None:
    task = runs.start("pill", crashed_isolated=True)
    await let_tasks_run()
    assert runs.begun == ["pill"]
    runs.may_end["pill"].set()
    await task


async def test_one_that_is_cancelled_delays_no_other(runs: Runs) -> None:
    """While it waits, and while it runs."""
    running, waiting = runs.start("a"), runs.start("b")
    last = runs.start("pill", crashed_isolated=True)
    await let_tasks_run()
    waiting.cancel()
    running.cancel()
    await let_tasks_run()
    assert runs.begun == ["a", "pill"]
    runs.may_end["pill"].set()
    await last


@dataclass(frozen=True)
class Frozen(PermanentError):
    """None of its attributes can be set."""

    code: int = 1


async def raise_isolated(isolation: Isolation) -> None:
    await isolation.acquire(crashed_isolated=False)
    try:
        raise Frozen
    finally:
        await isolation.release()


async def test_a_turn_ends_with_an_error_and_raises_it_unchanged(runs: Runs) -> None:
    with pytest.raises(Frozen):
        await raise_isolated(runs.isolation)
    assert not runs.isolation.is_full
    task = runs.start("next")
    await let_tasks_run()
    assert runs.begun == ["next"]
    runs.may_end["next"].set()
    await task


def isolated() -> float:
    return REGISTRY.get_sample_value("notification_api_tasks_isolated") or 0.0


async def test_one_runs_and_one_waits_and_it_is_full_then(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    before = isolated()
    tasks: list[asyncio.Task[None]] = []
    room: list[bool] = []
    for name in "ab":
        room.append(not runs.isolation.is_full)
        tasks.append(runs.start(name))
        await let_tasks_run()
    assert room == [True, True]
    assert runs.isolation.is_full
    assert isolated() - before == 2
    assert [getattr(line, "waitsFor", None) for line in caplog.records] == [0, 1]
    tasks[1].cancel()
    runs.may_end["a"].set()
    await asyncio.wait(tasks)
    assert isolated() == before


async def test_all_that_come_at_once_see_each_other(runs: Runs) -> None:
    """Even in the same round of the event loop: each checks for room and then takes it."""
    admitted: list[str] = []

    async def come(name: str) -> None:
        if not runs.isolation.is_full:
            runs.may_end[name] = asyncio.Event()
            admitted.append(name)
            await runs._run(name, crashed_isolated=False)

    tasks = [asyncio.create_task(come(str(number))) for number in range(20)]
    await let_tasks_run()
    assert len(admitted) == 2
    for event in runs.may_end.values():
        event.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(("earlier", "longest"), [(0, 4), (1, 12), (2, 30), (1_000, 30)])
async def test_a_requeue_pauses_longer_each_time(runs: Runs, earlier: int, longest: int) -> None:
    pauses = {runs.isolation.requeue_seconds(earlier) for _ in range(300)}
    assert pauses <= set(range(int(longest / 4), longest + 1))
    assert max(pauses) > longest / 2
