"""Several task types: each with its handler, its limits, and its label in the metrics."""

import asyncio
import time
from typing import Any

import pytest

from notification_api import Handlers, PermanentError, Result, Task
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


async def test_the_type_selects_the_handler_and_data_may_be_any_json(stage: ProcessorStage) -> None:
    handlers = Handlers()
    seen: list[Task] = []

    @handlers.register("report")
    async def report(task: Task) -> Result:
        seen.append(task)
        return Result("ready", data={"rows": [1, 2.5, None]})

    @handlers.register()
    def plain(task: Task) -> str:
        seen.append(task)
        return str(task.data)

    reports, others = (Counted("tasks_processed_total", outcome="finished", type=one) for one in ("report", "default"))
    async with stage.notifications("user") as notifications, processor_in_process(stage, handlers):
        report_id = await stage.send("user", {"month": 3}, task_type="report")
        await notifications.wait(1)
        plain_id = await stage.send("user", 7)
        await notifications.wait(2)
        await stage.until_empty()
    first, second = notifications.received
    started, ended = first.pop("startedAt"), first.pop("time")
    assert 0 <= ended - started < 15_000
    assert first == {
        "taskId": report_id,
        "status": "finished",
        "message": "Finished task: ready",
        "type": "report",
        "input": {"month": 3},
        "attempt": 1,
        "maxAttempts": 5,
        "data": {"rows": [1, 2.5, None]},
    }
    assert (second["taskId"], second["input"], second["message"]) == (plain_id, 7, "Finished task: 7")
    assert "type" not in second
    assert [(task.type, task.data, task.max_attempts) for task in seen] == [
        ("report", {"month": 3}, 5),
        ("default", 7, 5),
    ]
    assert (reports(), others()) == (1, 1)


async def test_limits_belong_to_the_type(stage: ProcessorStage) -> None:
    handlers = Handlers()
    attempts: list[tuple[str, int, int]] = []

    @handlers.register("once", max_attempts=1)
    async def once(task: Task) -> str:
        attempts.append((task.type, task.attempt, task.max_attempts))
        raise OSError("not now")

    @handlers.register("brief", timeout_seconds=0.2, max_attempts=2, backoff_base_seconds=0)
    async def brief(task: Task) -> str:
        attempts.append((task.type, task.attempt, task.max_attempts))
        await asyncio.sleep(60)
        return ""

    async with stage.notifications("user") as notifications, processor_in_process(stage, handlers):
        await stage.send("user", task_type="once")
        await notifications.wait(1)
        await stage.send("user", task_type="brief")
        await notifications.wait(2)
        await stage.until_empty()
    assert attempts == [("once", 1, 1), ("brief", 1, 2), ("brief", 2, 2)]
    failed, timed_out = notifications.received
    (retrying,) = notifications.retries
    assert (failed["status"], failed["reason"], failed["attempt"], failed["maxAttempts"]) == (
        "failed",
        "max_attempts",
        1,
        1,
    )
    assert (retrying["status"], retrying["message"]) == ("progress", "Retrying: attempt 2 of 2")
    assert (retrying["attempt"], retrying["maxAttempts"], retrying["input"]) == (2, 2, "x")
    assert retrying["nextAttemptAt"] <= time.time() * 1000
    assert (timed_out["status"], timed_out["reason"], timed_out["attempt"]) == ("failed", "timeout", 2)


async def test_an_unknown_type_is_dead_lettered(stage: ProcessorStage) -> None:
    unknown = Counted("tasks_processed_total", outcome="failed", type="unknown")
    handlers = Handlers()

    @handlers.register("report")
    async def report(_task: Task) -> str:
        return ""

    async with stage.notifications("user") as notifications, processor_in_process(stage, handlers):
        task_id = await stage.send("user", "march", task_type="mail")
        await notifications.wait(1)
        await stage.until_empty()
    (letter,) = await stage.dead_letters(1)
    assert (letter["deadLetterReason"], letter["type"]) == ("unknown_type", "mail")
    (notification,) = notifications.received
    assert (notification["taskId"], notification["status"], notification["reason"]) == (
        task_id,
        "failed",
        "unknown_type",
    )
    assert notification["message"] == "Failed task: march"
    assert unknown() == 1


async def test_the_user_reads_only_what_the_handler_calls_public(stage: ProcessorStage) -> None:
    handlers = Handlers()

    @handlers.register("pdf")
    async def pdf(_task: Task) -> str:
        raise PermanentError("page tree is empty: /secret/a.pdf", public="The file has no pages")

    async with stage.notifications("user") as notifications, processor_in_process(stage, handlers):
        await stage.send("user", "a.pdf", task_type="pdf")
        await notifications.wait(1)
    (letter,) = await stage.dead_letters(1)
    assert "page tree is empty" in letter["deadLetterDetail"]
    (notification,) = notifications.received
    assert notification["message"] == "Failed task: The file has no pages"
    assert (notification["error"], notification["reason"]) == ("The file has no pages", "permanent")
    assert "secret" not in str(notification)


async def test_a_full_type_does_not_hold_up_another(stage: ProcessorStage) -> None:
    handlers = Handlers()
    gate = asyncio.Event()
    running, most = 0, 0

    @handlers.register("slow", concurrency=2)
    async def slow(_task: Task) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return "slow"

    @handlers.register("quick")
    async def quick(_task: Task) -> str:
        return "quick"

    full = Counted("messages_requeued_total", reason="type_full")
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handlers, CONCURRENCY="10", BACKOFF_BASE_SECONDS="1", USER_SHARE="1"),
    ):
        for _ in range(8):
            await stage.send("user", task_type="slow")
        for _ in range(8):
            await stage.send("user", task_type="quick")
        await notifications.wait(8)
        assert {one["type"] for one in notifications.received} == {"quick"}
        gate.set()
        await notifications.wait(16, seconds=40)
        await stage.until_empty()
    assert most == 2
    assert full() >= 4  # two run, two wait, and the others are returned to the queue


class Client:
    """A handler with a resource."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def setup(self) -> None:
        self.log.append("setup")

    async def teardown(self) -> None:
        self.log.append("teardown")

    async def __call__(self, task: Task) -> str:
        self.log.append("run")
        return str(task.data)


async def test_a_handler_object_is_set_up_before_readiness_and_torn_down_after_the_drain(stage: ProcessorStage) -> None:
    log: list[str] = []
    handlers = Handlers()
    handlers.register("client")(Client(log))
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handlers, force_stop=False),
    ):
        assert log == ["setup"]
        await stage.send("user", task_type="client")
        await notifications.wait(1)
        assert log == ["setup", "run"]
    assert log == ["setup", "run", "teardown"]


@pytest.mark.parametrize("data", [{"deep": [[[1]]]}, [], 0, False, "text", 1.5])
async def test_any_json_reaches_the_handler(stage: ProcessorStage, data: Any) -> None:
    seen: list[Any] = []

    async def handle(task: Task) -> str:
        seen.append(task.data)
        return ""

    async with processor_in_process(stage, handle):
        await stage.send("user", data)
        await wait_until(lambda: bool(seen))
    assert seen == [data]
