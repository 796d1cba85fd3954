"""The status and the result of tasks, and their limits."""

import random

import orjson
import pytest
from prometheus_client import REGISTRY

from services.common.messages.notification import cancelled, failed, finished
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.results import compress
from services.common.web.problem import Problem
from services.token.operation_budget import TasksBusyError
from services.token.tasks.task_reader import READS_PER_MINUTE
from tests.support.task_ids import uuid5, uuid7
from tests.support.task_services import NOW_MS, TaskServices

TASK = uuid7(NOW_MS - 1_000)


@pytest.fixture
def services() -> TaskServices:
    return TaskServices()


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("notification_api_status_reads_total", {"outcome": outcome}) or 0.0


async def result_status(services: TaskServices, task_id: str = TASK, user_id: str = "alice") -> int:
    """The status of a refused read of a result."""
    with pytest.raises(Problem) as refused:
        await services.reader.result(user_id, task_id)
    return refused.value.status


async def store_result(services: TaskServices, message: str, data: object, user_id: str = "alice") -> None:
    await services.results.write(user_id, TASK, compress(orjson.dumps({"message": message, "data": data})))


async def test_a_status_has_the_cancel_request_without_another_read(services: TaskServices) -> None:
    await services.canceller.cancel("alice", TASK)
    services.momento.calls.clear()
    state = await services.reader.status("alice", TASK)
    assert state.fields == {"taskId": TASK, "status": "queued", "cancelRequestedAt": NOW_MS}
    assert services.momento.calls == ["dictionary-get", "get"]
    assert "cancelRequestedAt" not in (await services.reader.status("bob", TASK)).fields
    await services.conclude(finished(TASK, "x", NOW_MS))
    assert "cancelRequestedAt" not in (await services.reader.status("alice", TASK)).fields


async def test_reads_are_counted_by_status_and_failure(services: TaskServices) -> None:
    before = {name: counted(name) for name in ("queued", "finished", "unknown", "rate_limited", "unavailable")}
    await services.reader.status("alice", TASK)
    await services.conclude(finished("t-1", "x", NOW_MS))
    await services.reader.status("alice", "t-1")
    with pytest.raises(Problem):
        await services.reader.status("alice", "t-2")
    services.momento.error = MomentoUnavailable("down")
    with pytest.raises(MomentoUnavailable):
        await services.reader.status("alice", "t-1")
    services.momento.error = None
    for _ in range(int(READS_PER_MINUTE) - 4):
        await services.reader.status("alice", TASK)
    with pytest.raises(Problem) as refused:
        await services.reader.status("alice", TASK)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    await services.reader.status("bob", TASK)
    growth = {name: counted(name) - value for name, value in before.items()}
    assert growth == {"queued": READS_PER_MINUTE - 2, "finished": 1, "unknown": 1, "rate_limited": 1, "unavailable": 1}


async def test_a_short_result_is_that_of_the_notification(services: TaskServices) -> None:
    await services.conclude(finished(TASK, "done", NOW_MS, data={"n": 1}))
    result = await services.reader.result("alice", TASK)
    assert result == {"taskId": TASK, "message": "Finished task: done", "data": {"n": 1}}
    assert "get" not in services.momento.calls


async def test_a_long_result_is_returned_whole(services: TaskServices) -> None:
    text, data = "x" * 10_000, list(range(5_000))
    await store_result(services, f"Finished task: {text}", data)
    assert await result_status(services) == 404  # it is stored before the task has ended
    await services.conclude(finished(TASK, text, NOW_MS, data=data))
    result = await services.reader.result("alice", TASK)
    assert result == {"taskId": TASK, "message": f"Finished task: {text}", "data": data}
    assert await result_status(services, user_id="bob") == 404


async def test_a_result_that_has_expired_is_gone(services: TaskServices) -> None:
    await services.conclude(finished(TASK, "x" * 10_000, NOW_MS))
    assert await result_status(services) == 410


async def test_a_task_that_did_not_finish_has_no_result(services: TaskServices) -> None:
    for number, notification in enumerate((failed("t-0", "x", NOW_MS), cancelled("t-1", NOW_MS))):
        await services.conclude(notification)
        assert await result_status(services, f"t-{number}") == 404
    assert await result_status(services, uuid5()) == 404
    assert await result_status(services, "unknown") == 404


async def test_large_results_use_a_budget_of_their_own() -> None:
    services = TaskServices(per_second=10)
    hardly_compressible = random.Random(1).randbytes(200_000).hex()
    await store_result(services, "Finished task: x", hardly_compressible)
    await services.conclude(finished(TASK, "x", NOW_MS, data=hardly_compressible))
    await services.reader.result("alice", TASK)
    services.clock.advance(5.0)
    with pytest.raises(TasksBusyError) as busy:
        await services.reader.result("alice", TASK)
    assert busy.value.retry_after_seconds > 1
    await services.reader.status("alice", TASK)
    services.clock.advance(60.0)
    await services.reader.result("alice", TASK)
