"""Read markers only move forward, and never beyond now."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.momento.errors import MomentoUnavailable
from services.common.web.problem import Problem
from services.token.history.read_marker import MOVES_PER_MINUTE
from tests.support.fakes.momento import FakeMomento
from tests.support.task_services import NOW_MS, TaskServices


@pytest.fixture
def services() -> TaskServices:
    return TaskServices()


async def test_a_marker_moves_and_the_users_devices_are_notified(services: TaskServices) -> None:
    assert await services.mover.move("alice", NOW_MS - 1_000) == NOW_MS - 1_000
    assert await services.markers.find("alice") == NOW_MS - 1_000
    assert await services.markers.find("bob") == 0
    assert [(topic, orjson.loads(text)) for topic, text in services.momento.published] == [
        ("alice", {"readUntil": NOW_MS - 1_000})
    ]


@pytest.mark.parametrize("until_ms", [0, NOW_MS - 2_000, NOW_MS - 1_000])
async def test_a_marker_that_does_not_move_is_not_published(services: TaskServices, until_ms: int) -> None:
    await services.markers.write("alice", NOW_MS - 1_000)
    assert await services.mover.move("alice", until_ms) == NOW_MS - 1_000
    assert services.momento.published == []
    assert services.momento.calls == ["set", "get"]


@pytest.mark.parametrize(("ahead_ms", "expected_ms"), [(0, NOW_MS), (1, NOW_MS), (60_000, NOW_MS)])
async def test_a_clock_that_is_ahead_moves_the_marker_to_now(
    services: TaskServices, ahead_ms: int, expected_ms: int
) -> None:
    assert await services.mover.move("alice", NOW_MS + ahead_ms) == expected_ms


@pytest.mark.parametrize("until_ms", [-1, NOW_MS + 60_001, 2**62])
async def test_another_time_is_refused(services: TaskServices, until_ms: int) -> None:
    with pytest.raises(Problem) as refused:
        await services.mover.move("alice", until_ms)
    assert refused.value.status == 400
    assert services.momento.calls == []


async def test_a_failed_publication_does_not_fail_the_request(services: TaskServices) -> None:
    class NoTopics(FakeMomento):
        async def publish(self, topic: str, text: str, *, deadline_seconds: float = 5.0) -> None:
            raise MomentoUnavailable("down")

    services = TaskServices(NoTopics())
    assert await services.mover.move("alice", NOW_MS) == NOW_MS
    assert await services.markers.find("alice") == NOW_MS


async def test_a_concurrent_earlier_marker_is_overwritten() -> None:
    class Racing(FakeMomento):
        """Another replica writes an earlier marker after the first write."""

        async def set(self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0) -> None:
            await super().set(key, value, ttl_seconds=ttl_seconds)
            if self.calls.count("set") == 1:
                self.items[key] = str(NOW_MS - 5_000).encode()

    services = TaskServices(Racing())
    assert await services.mover.move("alice", NOW_MS) == NOW_MS
    assert await services.markers.find("alice") == NOW_MS


@given(st.lists(st.integers(0, NOW_MS), min_size=1, max_size=8))
async def test_concurrent_requests_end_at_the_latest_time(times: list[int]) -> None:
    class Yielding(FakeMomento):
        async def get(self, key: str, *, deadline_seconds: float = 5.0) -> bytes | None:
            await asyncio.sleep(0)
            return await super().get(key)

    services = TaskServices(Yielding())
    answers = await asyncio.gather(*(services.mover.move("alice", until_ms) for until_ms in times))
    assert await services.markers.find("alice") == max(times)
    assert all(answer >= until_ms for answer, until_ms in zip(answers, times, strict=True))


async def test_a_user_may_move_it_sixty_times_a_minute(services: TaskServices) -> None:
    for number in range(int(MOVES_PER_MINUTE)):
        await services.mover.move("alice", number)
    with pytest.raises(Problem) as refused:
        await services.mover.move("alice", 100)
    assert refused.value.status == 429
    await services.mover.move("bob", 100)
