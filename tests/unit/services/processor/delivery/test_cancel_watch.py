"""The cancel watch: what it knows after a poll, which tasks it cancels, and which requests it removes."""

import asyncio
import time

import pytest

from services.common.messages.notification import finished
from services.common.momento.cancel_requests import RETENTION_SECONDS, CancelRequests, TaskKey
from services.common.momento.history import HistoryEntry, NotificationHistory
from services.processor.delivery.cancel_watch import ENDED_SECONDS, MAX_POLL_SECONDS, CancelWatch
from services.processor.metrics import CANCEL_POLLS
from tests.support.fakes.simulated_momento import SimulatedMomento
from tests.support.virtual_time import run_in_virtual_time

ALICE: TaskKey = ("alice", "t-1")
BOB: TaskKey = ("bob", "t-2")


class Watched:
    """A watch that polls a simulated cache."""

    def __init__(self) -> None:
        self.momento = SimulatedMomento()
        self.requests = CancelRequests(self.momento.as_momento())
        self.is_active = True
        self.history = NotificationHistory(self.momento.as_momento(), RETENTION_SECONDS)
        self.watch = CancelWatch(self.history, lambda: self.is_active)

    async def request(self, *tasks: TaskKey, age_seconds: float = 0.0) -> None:
        for task in tasks:
            await self.requests.add(*task, int((time.time() - age_seconds) * 1000))


def test_a_request_is_known_within_about_a_second_and_to_every_task_that_watches() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        with one.watch.watching(ALICE) as first, one.watch.watching(ALICE) as second, one.watch.watching(BOB) as other:
            await one.request(ALICE)
            async with asyncio.timeout(1.1):
                await asyncio.gather(first, second)
            assert one.watch.is_requested(ALICE)
            assert not one.watch.is_requested(BOB)
            assert not other.done()
        with one.watch.watching(ALICE) as late:
            assert late.done()
        polling.cancel()

    run_in_virtual_time(scenario())


def test_the_request_of_a_concluded_task_is_removed_also_if_it_came_after_the_conclusion() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        await one.request(ALICE, BOB)
        await asyncio.sleep(1.1)
        one.watch.note_concluded(ALICE)
        await asyncio.sleep(1.1)
        assert list(await one.requests.fetch()) == [BOB]
        assert not one.watch.is_requested(ALICE)
        one.watch.note_concluded(ALICE)
        await one.request(ALICE)
        await asyncio.sleep(1.1)
        assert ALICE not in await one.requests.fetch()
        polling.cancel()

    run_in_virtual_time(scenario())


def test_the_request_of_a_task_that_another_process_concluded_is_removed() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        ended = finished(ALICE[1], "done", int((time.time() - ENDED_SECONDS) * 1000) - 1)
        await one.history.write(ALICE[0], HistoryEntry(notification=ended), int(time.time() * 1000))
        just_ended = finished(BOB[1], "done", int(time.time() * 1000))
        await one.history.write(BOB[0], HistoryEntry(notification=just_ended), int(time.time() * 1000))
        await one.request(ALICE, BOB, age_seconds=ENDED_SECONDS + 1)
        await asyncio.sleep(30)  # each poll checks one of the two
        assert list(await one.requests.fetch()) == [BOB]
        assert one.watch.is_requested(BOB)
        polling.cancel()

    run_in_virtual_time(scenario())


def test_a_new_request_and_that_of_a_running_task_cost_no_read_of_the_history() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        await one.request(ALICE)
        await one.request(BOB, age_seconds=ENDED_SECONDS + 1)
        with one.watch.watching(BOB):
            await asyncio.sleep(5)
            assert one.watch.is_requested(ALICE)
        assert one.momento.gets == 0
        polling.cancel()

    run_in_virtual_time(scenario())


def test_old_requests_do_not_count_and_are_removed() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        await one.request(ALICE, age_seconds=RETENTION_SECONDS + 1)
        await one.request(BOB, age_seconds=RETENTION_SECONDS - 60)
        await asyncio.sleep(1.1)
        assert not one.watch.is_requested(ALICE)
        assert one.watch.is_requested(BOB)
        assert list(await one.requests.fetch()) == [BOB]
        polling.cancel()

    run_in_virtual_time(scenario())


def test_in_an_outage_the_known_requests_stay_and_removals_are_repeated() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        await one.request(ALICE, BOB)
        await asyncio.sleep(1.1)
        one.momento.cache_out = True
        one.watch.note_concluded(ALICE)
        await asyncio.sleep(30)
        assert one.watch.is_requested(BOB)
        one.momento.cache_out = False
        await asyncio.sleep(4)
        assert list(await one.requests.fetch()) == [BOB]
        polling.cancel()

    run_in_virtual_time(scenario())


def test_a_replica_without_tasks_that_receives_none_reads_only_at_its_start() -> None:
    async def scenario() -> None:
        one = Watched()
        one.is_active = False
        await one.request(ALICE)
        polling = asyncio.create_task(one.watch.run())
        before = CANCEL_POLLS.labels("ok")._value.get()
        await asyncio.sleep(0.1)
        assert one.watch.is_requested(ALICE)
        await asyncio.sleep(60)
        assert CANCEL_POLLS.labels("ok")._value.get() == before + 1
        polling.cancel()

    run_in_virtual_time(scenario())


def test_very_many_requests_are_read_less_often_and_removed_in_portions() -> None:
    async def scenario() -> None:
        one = Watched()
        tasks = [("alice", f"t-{number}") for number in range(1_000)]
        await one.request(*tasks)
        polling = asyncio.create_task(one.watch.run())
        await asyncio.sleep(1.1)
        polls = CANCEL_POLLS.labels("ok")
        before = polls._value.get()
        await asyncio.sleep(10 * MAX_POLL_SECONDS)
        assert 9 <= polls._value.get() - before <= 11
        for task in tasks:
            one.watch.note_concluded(task)
        await asyncio.sleep(10 * MAX_POLL_SECONDS)
        assert await one.requests.fetch() == {}
        polling.cancel()

    run_in_virtual_time(scenario())


async def test_without_a_history_nothing_is_cancelled() -> None:
    watch = CancelWatch(None, lambda: True)
    watch.note_concluded(ALICE)
    with watch.watching(ALICE) as requested, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await watch.run()
    assert not requested.done()


def test_a_redriven_task_ignores_a_request_from_before_the_redrive() -> None:
    async def scenario() -> None:
        one = Watched()
        polling = asyncio.create_task(one.watch.run())
        await one.request(ALICE, BOB)
        await asyncio.sleep(1.1)
        one.watch.forget_older(ALICE, int(time.time() * 1000))
        one.watch.forget_older(BOB, int(time.time() * 1000) - 60_000)
        assert not one.watch.is_requested(ALICE)
        assert one.watch.is_requested(BOB)
        await asyncio.sleep(1.1)
        assert list(await one.requests.fetch()) == [BOB]
        polling.cancel()

    run_in_virtual_time(scenario())


def test_the_requests_of_tasks_that_ended_since_the_last_poll_are_removed_at_the_end() -> None:
    async def scenario() -> None:
        one = Watched()
        await one.request(ALICE, BOB)
        one.watch.note_concluded(ALICE)
        await one.watch.close()
        assert list(await one.requests.fetch()) == [BOB]

    run_in_virtual_time(scenario())
