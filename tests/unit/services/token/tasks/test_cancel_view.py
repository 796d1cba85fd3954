"""The bounds of outstanding cancel requests, over a copy that is seconds old."""

import asyncio
from collections.abc import Mapping

import pytest

from services.common.momento.cancel_requests import RETENTION_SECONDS
from services.common.momento.errors import MomentoUnavailable
from services.common.web.problem import Problem
from services.token.tasks.cancel_view import MAX_OF_STAGE, MAX_OF_USER, REFRESH_SECONDS, SHOWN_SECONDS
from tests.support.fakes.momento import FakeMomento
from tests.support.task_services import NOW_MS, TaskServices


@pytest.fixture
def services() -> TaskServices:
    return TaskServices()


async def store(services: TaskServices, user_id: str, count: int, *, at_ms: int = NOW_MS, first: int = 0) -> None:
    for number in range(first, first + count):
        await services.requests.add(user_id, f"t-{number}", at_ms)


def refusal(services: TaskServices, user_id: str = "alice", task_id: str = "new") -> int:
    """The status of the refusal of another request, or 0."""
    try:
        services.view.check_room(user_id, task_id)
    except Problem as problem:
        return problem.status if problem.headers["Retry-After"] == "10" else -1
    return 0


async def test_a_user_may_have_fifty_outstanding_requests(services: TaskServices) -> None:
    await store(services, "alice", MAX_OF_USER - 1)
    await services.view.refresh()
    assert refusal(services) == 0
    services.view.add("alice", "one more", NOW_MS)
    assert refusal(services) == 429
    assert refusal(services, task_id="t-0") == 0  # repeated
    assert refusal(services, "bob") == 0
    services.view.remove("alice", "t-0")
    assert refusal(services) == 0


async def test_a_stage_may_have_a_thousand(services: TaskServices) -> None:
    for number in range(MAX_OF_STAGE // 40):
        await store(services, f"user-{number}", 40)
    await services.view.refresh()
    assert refusal(services) == 503
    assert refusal(services, "user-1", "t-1") == 0


async def test_expired_requests_do_not_count(services: TaskServices) -> None:
    await store(services, "alice", MAX_OF_USER, at_ms=NOW_MS - int(RETENTION_SECONDS * 1000))
    await services.view.refresh()
    assert refusal(services) == 0


async def test_the_dictionary_is_read_at_most_once_in_five_seconds(services: TaskServices) -> None:
    await asyncio.gather(*(services.view.refresh() for _ in range(20)))
    services.clock.advance(REFRESH_SECONDS - 0.1)
    await services.view.refresh()
    assert services.momento.calls == ["dictionary-fetch"]
    services.clock.advance(0.1)
    await services.view.refresh()
    assert services.momento.calls == ["dictionary-fetch"] * 2


async def test_a_large_dictionary_is_read_less_often() -> None:
    services = TaskServices(per_second=10)
    await store(services, "alice", 400)  # 200 operations
    await services.view.refresh()
    services.clock.advance(19.9)
    await services.view.refresh()
    assert services.momento.calls.count("dictionary-fetch") == 1
    services.clock.advance(0.1)
    await services.view.refresh()
    assert services.momento.calls.count("dictionary-fetch") == 2


async def test_requests_that_wait_for_a_failed_read_fail_with_it() -> None:
    class Slow(FakeMomento):
        async def dictionary_fetch(self, name: str, *, deadline_seconds: float = 5.0) -> Mapping[str, bytes]:
            await asyncio.sleep(0)
            return await super().dictionary_fetch(name)

    services = TaskServices(Slow())
    services.momento.error = MomentoUnavailable("down")
    failed = await asyncio.gather(*(services.view.refresh() for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in failed} == {MomentoUnavailable}
    assert services.momento.calls == ["dictionary-fetch"]


async def test_a_failed_read_is_repeated_by_the_next_request(services: TaskServices) -> None:
    services.momento.error = MomentoUnavailable("down")
    with pytest.raises(MomentoUnavailable):
        await services.view.refresh()
    services.momento.error = None
    await store(services, "alice", MAX_OF_USER)
    await services.view.refresh()
    assert refusal(services) == 429


async def test_own_requests_count_until_a_later_read_has_them(services: TaskServices) -> None:
    """A read may be older than a write: Momento's reads are eventually consistent."""
    services.clock.advance(REFRESH_SECONDS)
    services.view.add("alice", "t-1", NOW_MS)
    await services.view.refresh()
    assert services.view.requested_at("alice", "t-1") == NOW_MS
    services.clock.advance(REFRESH_SECONDS)
    await services.view.refresh()
    assert services.view.requested_at("alice", "t-1") is None


async def test_requests_that_a_processor_has_removed_do_not_count(services: TaskServices) -> None:
    await store(services, "alice", MAX_OF_USER)
    await services.view.refresh()
    await services.requests.remove([("alice", f"t-{number}") for number in range(MAX_OF_USER)])
    services.clock.advance(REFRESH_SECONDS)
    await services.view.refresh()
    assert refusal(services) == 0


async def test_an_old_request_is_not_shown(services: TaskServices) -> None:
    await store(services, "alice", 1)
    await services.view.refresh()
    assert services.view.recently_requested_at("alice", "t-0") == NOW_MS
    assert services.view.recently_requested_at("bob", "t-0") is None
    services.clock.advance(SHOWN_SECONDS + 1)
    assert services.view.recently_requested_at("alice", "t-0") is None
    assert services.view.requested_at("alice", "t-0") == NOW_MS
