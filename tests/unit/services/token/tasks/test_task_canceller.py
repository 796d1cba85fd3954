"""Cancel requests: what is stored when, in every order of events and with every failure."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.common.messages.notification import cancelled, finished
from services.common.momento.errors import MomentoRefused, MomentoUnavailable
from services.common.web.problem import Problem
from services.token.operation_budget import TasksBusyError
from services.token.tasks.cancel_view import MAX_OF_USER
from services.token.tasks.task_canceller import CANCELS_PER_MINUTE
from tests.support.fakes.momento import FakeMomento
from tests.support.task_ids import uuid5, uuid7
from tests.support.task_services import NOW_MS, TaskServices

TASK = uuid5()


class ScriptedMomento(FakeMomento):
    """Runs `before[operation]` before each call of it, with the number of calls so far."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[str, int], None] = lambda _operation, _number: None

    def _call(self, operation: str) -> None:
        super()._call(operation)
        self.before(operation, self.calls.count(operation))


@pytest.fixture
def services() -> TaskServices:
    return TaskServices(ScriptedMomento())


async def cancel(services: TaskServices, task_id: str = TASK, user_id: str = "alice") -> Any:
    """Return the stored request, or the status of the refusal."""
    try:
        return await services.canceller.cancel(user_id, task_id)
    except Problem as problem:
        return problem.status


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("notification_api_cancel_requests_total", {"outcome": outcome}) or 0.0


async def test_a_request_is_stored_for_the_processors(services: TaskServices) -> None:
    before = counted("accepted")
    request = await cancel(services)
    assert (request.status, request.requested_at_ms) == ("queued", NOW_MS)
    assert services.stored_cancels() == {f"alice {TASK}": str(NOW_MS).encode()}
    assert counted("accepted") == before + 1
    await services.statuses.write("alice", TASK, {"status": "running"})
    assert (await cancel(services)).status == "running"


async def test_a_repeated_request_changes_nothing(services: TaskServices) -> None:
    first = await cancel(services)
    for seconds in (1.0, 10.0, 1_000.0):
        services.clock.advance(seconds)
        assert await cancel(services) == first
    assert services.stored_cancels() == {f"alice {TASK}": str(NOW_MS).encode()}


async def test_the_time_of_a_request_of_another_replica_is_kept(services: TaskServices) -> None:
    await services.requests.add("alice", TASK, NOW_MS - 60_000)
    assert (await cancel(services)).requested_at_ms == NOW_MS - 60_000
    assert services.stored_cancels() == {f"alice {TASK}": str(NOW_MS - 60_000).encode()}


async def test_a_task_that_has_ended_cannot_be_cancelled(services: TaskServices) -> None:
    await services.conclude(finished(TASK, "x", NOW_MS))
    assert await cancel(services) == 409
    await services.statuses.write("alice", uuid5("trimmed"), {"status": "failed"})
    assert await cancel(services, uuid5("trimmed")) == 409
    assert services.stored_cancels() == {}


@pytest.mark.parametrize("task_id", ["t-1", uuid7(NOW_MS + 61_000), uuid7(NOW_MS - 90_000_000)])
async def test_nothing_is_stored_for_an_unknown_id(services: TaskServices, task_id: str) -> None:
    before = counted("unknown")
    assert await cancel(services, task_id) == 404
    assert services.stored_cancels() == {}
    assert "dictionary-set" not in services.momento.calls
    assert counted("unknown") == before + 1


async def test_a_request_for_another_users_task_does_not_affect_it(services: TaskServices) -> None:
    await services.statuses.write("bob", TASK, {"status": "running"})
    assert (await cancel(services)).status == "queued"  # as for any UUIDv5
    assert list(services.stored_cancels()) == [f"alice {TASK}"]


async def test_a_task_that_ends_between_check_and_write_is_a_conflict(services: TaskServices) -> None:
    def end(operation: str, _number: int) -> None:
        if operation == "dictionary-set" and not services.momento.dictionaries.get("history:alice"):
            entry = finished(TASK, "x", NOW_MS)
            services.momento.dictionaries["history:alice"] = {TASK: entry.encode("json").encode()}  # type: ignore[arg-type]

    assert isinstance(services.momento, ScriptedMomento)
    services.momento.before = end
    assert await cancel(services) == 409
    assert services.stored_cancels() == {}
    assert services.view.requested_at("alice", TASK) is None


async def test_a_request_that_a_processor_carries_out_at_once_is_accepted(services: TaskServices) -> None:
    def carry_out(operation: str, _number: int) -> None:
        if operation == "dictionary-set":
            entry = cancelled(TASK, NOW_MS)
            services.momento.dictionaries["history:alice"] = {TASK: entry.encode("json").encode()}  # type: ignore[arg-type]

    assert isinstance(services.momento, ScriptedMomento)
    services.momento.before = carry_out
    assert (await cancel(services)).status == "queued"
    assert services.stored_cancels() == {}


async def test_a_conflict_stays_one_if_the_request_cannot_be_removed(services: TaskServices) -> None:
    def fail(operation: str, _number: int) -> None:
        if operation == "dictionary-set":
            entry = finished(TASK, "x", NOW_MS)
            services.momento.dictionaries["history:alice"] = {TASK: entry.encode("json").encode()}  # type: ignore[arg-type]
        if operation == "dictionary-remove":
            raise MomentoUnavailable("down")

    assert isinstance(services.momento, ScriptedMomento)
    services.momento.before = fail
    assert await cancel(services) == 409


@given(st.sampled_from(["dictionary-get", "get", "dictionary-fetch", "dictionary-set", "dictionary-get again"]))
async def test_a_failure_at_any_step_is_an_error(step: str) -> None:
    operation, _, again = step.partition(" ")

    def fail(called: str, number: int) -> None:
        if called == operation and number == (2 if again else 1):
            raise MomentoUnavailable("down")

    momento = ScriptedMomento()
    momento.before = fail
    services = TaskServices(momento)
    before = counted("unavailable")
    with pytest.raises(MomentoUnavailable):
        await services.canceller.cancel("alice", TASK)
    assert counted("unavailable") == before + 1
    momento.before = lambda _operation, _number: None
    assert (await services.canceller.cancel("alice", TASK)).requested_at_ms == NOW_MS


async def test_a_refused_write_does_not_count_as_outstanding(services: TaskServices) -> None:
    services.momento.error = MomentoRefused("invalid")
    with pytest.raises(MomentoRefused):
        await services.canceller.cancel("alice", TASK)
    assert services.view.requested_at("alice", TASK) is None


async def test_concurrent_requests_do_not_exceed_the_bound_of_a_user(services: TaskServices) -> None:
    answers = await asyncio.gather(*(cancel(services, uuid5(str(number))) for number in range(60)))
    assert sum(answer == 429 for answer in answers) == 60 - MAX_OF_USER
    assert len(services.stored_cancels()) == MAX_OF_USER


async def test_a_user_may_ask_sixty_times_a_minute() -> None:
    services, before = TaskServices(), counted("rate_limited")
    answers = [await cancel(services) for _ in range(int(CANCELS_PER_MINUTE) + 5)]
    assert answers.count(429) == 5
    assert counted("rate_limited") == before + 5
    assert (await cancel(services, user_id="bob")).status == "queued"


async def test_beyond_the_budget_the_cache_is_not_called() -> None:
    services, before = TaskServices(per_second=0.1), counted("busy")
    await cancel(services)
    await cancel(services, user_id="bob")
    services.momento.calls.clear()
    with pytest.raises(TasksBusyError):
        await services.canceller.cancel("carol", TASK)
    assert services.momento.calls == []
    assert counted("busy") == before + 1
