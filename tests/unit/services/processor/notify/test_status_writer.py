"""Status snapshots: when they are written, how often, and that the last one is the final state."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.common.lifecycle import Lifecycle
from services.common.messages.notification import finished
from services.common.messages.task_details import TaskDetails
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.task_status import TaskStatuses
from services.processor.cache_guard import CacheGuard
from services.processor.metrics import STATUS_WRITES
from services.processor.notify.status_writer import MAX_TEXT, MAX_WRITES, StatusWriter
from tests.support.fakes.simulated_momento import SimulatedMomento
from tests.support.virtual_time import EPOCH, run_in_virtual_time

TASK = ("user", "t-1")
DETAILS = TaskDetails(type="report", input="march", attempt=1, max_attempts=3, started_at_ms=int(EPOCH * 1000))


class Statuses:
    """A writer, and what it has written to a simulated cache."""

    def __init__(
        self, per_second: float = 5.0, *, stores: bool = True, momento: SimulatedMomento | None = None
    ) -> None:
        self.momento = momento or SimulatedMomento()
        self.statuses = TaskStatuses(self.momento.as_momento(), 86_400)
        self.guard = CacheGuard()
        self.writer = StatusWriter(
            self.statuses if stores else None, self.guard, Lifecycle().background, per_second=per_second
        )

    async def snapshot(self, task: tuple[str, str] = TASK) -> Mapping[str, Any] | None:
        return await self.statuses.find(*task)

    @property
    def writes(self) -> int:
        return self.momento.sets


def test_a_quick_task_has_no_snapshot() -> None:
    async def scenario() -> None:
        one = Statuses()
        with one.writer.running(TASK, DETAILS) as status:
            await asyncio.sleep(1.9)
            status.progress("nearly", 90)
        one.writer.concluded("user", finished("t-1", "done", 1), is_redelivery=False)
        await asyncio.sleep(60)
        assert (await one.snapshot(), one.writes) == (None, 0)

    run_in_virtual_time(scenario())


def test_a_task_that_runs_for_two_seconds_has_a_snapshot_with_its_last_progress() -> None:
    async def scenario() -> None:
        one = Statuses()
        with one.writer.running(TASK, DETAILS) as status:
            status.progress("reading", 10)
            status.progress("counting", 20)
            await asyncio.sleep(2.1)
            assert await one.snapshot() == {
                "status": "running",
                "type": "report",
                "input": "march",
                "attempt": 1,
                "maxAttempts": 3,
                "startedAt": EPOCH * 1000,
                "progress": {"message": "counting", "percent": 20},
                "updatedAt": (EPOCH + 2) * 1000,
            }
            await asyncio.sleep(600)
            assert one.writes == 1  # nothing has changed

    run_in_virtual_time(scenario())


def test_progress_is_written_at_most_every_two_seconds_and_the_last_one_counts() -> None:
    async def scenario() -> None:
        one = Statuses()
        with one.writer.running(TASK, DETAILS) as status:
            for number in range(100):
                status.progress(f"step {number}", number)
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            snapshot = await one.snapshot()
            assert snapshot is not None
            assert snapshot["progress"] == {"message": "step 99", "percent": 99}
            assert one.writes <= 6

    run_in_virtual_time(scenario())


def test_all_tasks_together_are_written_at_the_permitted_rate() -> None:
    async def scenario() -> None:
        one = Statuses(per_second=2)
        running = [one.writer.running(("user", str(number)), DETAILS) for number in range(40)]
        for status in running:
            status.__enter__()
        await asyncio.sleep(12)
        assert one.writes <= 2 * (12 - 2) + 2 * 4
        await asyncio.sleep(30)
        assert one.writes == 40
        for status in running:
            status.__exit__(None, None, None)

    run_in_virtual_time(scenario())


def test_the_final_state_replaces_a_snapshot_also_while_that_is_being_written() -> None:
    async def scenario() -> None:
        one = Statuses()
        one.momento.set_seconds = 0.5
        with one.writer.running(TASK, DETAILS):
            await asyncio.sleep(2.1)
        one.writer.concluded("user", finished("t-1", "done", 5, DETAILS), is_redelivery=False)
        await asyncio.sleep(2)
        snapshot = await one.snapshot()
        assert snapshot is not None
        assert (snapshot["status"], snapshot["message"], snapshot["time"]) == ("finished", "Finished task: done", 5)

    run_in_virtual_time(scenario())


def test_a_redelivered_task_may_have_the_snapshot_of_another_process() -> None:
    async def scenario() -> None:
        one = Statuses()
        one.writer.concluded("user", finished("t-1", "done", 5), is_redelivery=True)
        await asyncio.sleep(1)
        snapshot = await one.snapshot()
        assert snapshot is not None
        assert snapshot["status"] == "finished"

    run_in_virtual_time(scenario())


def test_a_task_that_waits_for_its_next_attempt_is_queued() -> None:
    async def scenario() -> None:
        one = Statuses()
        one.writer.retrying(TASK, TaskDetails(attempt=2, max_attempts=3), 7)
        await asyncio.sleep(1)
        snapshot = await one.snapshot()
        assert snapshot is not None
        assert (snapshot["status"], snapshot["attempt"], snapshot["nextAttemptAt"]) == ("queued", 2, 7)

    run_in_virtual_time(scenario())


def test_an_outage_loses_snapshots_and_delays_nothing() -> None:
    async def scenario() -> None:
        one = Statuses()
        one.momento.cache_out = True
        errors = STATUS_WRITES.labels("error")._value.get()
        with one.writer.running(TASK, DETAILS):
            await asyncio.sleep(5)
        assert STATUS_WRITES.labels("error")._value.get() == errors + 1
        one.guard.pause()
        dropped = STATUS_WRITES.labels("dropped")._value.get()
        one.writer.retrying(TASK, DETAILS, 7)
        assert STATUS_WRITES.labels("dropped")._value.get() == dropped + 1

    run_in_virtual_time(scenario())


def test_writes_in_progress_are_bounded() -> None:
    async def scenario() -> None:
        one = Statuses()
        one.momento.set_seconds = 0.5
        dropped = STATUS_WRITES.labels("dropped")._value.get()
        for number in range(MAX_WRITES + 10):
            one.writer.retrying(("user", str(number)), DETAILS, 7)
        assert STATUS_WRITES.labels("dropped")._value.get() == dropped + 10
        await asyncio.sleep(2)
        assert one.writes == MAX_WRITES

    run_in_virtual_time(scenario())


@pytest.mark.parametrize(("text", "kept"), [("x" * 5_000, "x" * MAX_TEXT), ("\ud800", "?")])
def test_a_progress_text_is_cut_and_valid(text: str, kept: str) -> None:
    async def scenario() -> None:
        one = Statuses()
        with one.writer.running(TASK, DETAILS) as status:
            status.progress(text, None)
            await asyncio.sleep(2.1)
        snapshot = await one.snapshot()
        assert snapshot is not None
        assert snapshot["progress"] == {"message": kept}

    run_in_virtual_time(scenario())


def test_without_a_history_nothing_is_written() -> None:
    async def scenario() -> None:
        one = Statuses(stores=False)
        with one.writer.running(TASK, DETAILS):
            await asyncio.sleep(5)
        one.writer.concluded("user", finished("t-1", "done", 5), is_redelivery=True)
        await asyncio.sleep(1)
        assert one.writes == 0

    run_in_virtual_time(scenario())


def test_a_rate_of_zero_switches_snapshots_of_running_tasks_off() -> None:
    async def scenario() -> None:
        one = Statuses(per_second=0)
        with one.writer.running(TASK, DETAILS) as status:
            for _ in range(5):
                await asyncio.sleep(2.1)
                status.progress("on", None)
        assert one.writes == 0

    run_in_virtual_time(scenario())


class FailsLate(SimulatedMomento):
    """The first write of an item fails after half a second."""

    async def set(self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0) -> None:
        self.sets += 1
        if self.sets == 1:
            await asyncio.sleep(0.5)
            raise MomentoUnavailable("no answer")
        await super().set(key, value, ttl_seconds=ttl_seconds)


def test_the_final_state_is_written_although_the_write_before_it_fails() -> None:
    async def scenario() -> None:
        one = Statuses(momento=FailsLate())
        with one.writer.running(TASK, DETAILS):
            await asyncio.sleep(2.1)
        one.writer.concluded("user", finished("t-1", "done", 5), is_redelivery=False)
        await asyncio.sleep(5)
        snapshot = await one.snapshot()
        assert snapshot is not None
        assert snapshot["status"] == "finished"

    run_in_virtual_time(scenario())
