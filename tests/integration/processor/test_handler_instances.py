"""Handlers that are objects, in a real processor."""

import asyncio

from notification_api import Task
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


class Recorded:
    """Notes when it is set up and torn down, and when its tasks run."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.may_end = asyncio.Event()

    async def setup(self) -> None:
        self.events.append("set up")

    async def teardown(self) -> None:
        self.events.append("torn down")

    async def __call__(self, task: Task) -> str:
        self.events.append("started")
        await self.may_end.wait()
        self.events.append("ended")
        return task.data


async def test_a_handler_is_set_up_before_the_first_task_and_torn_down_after_the_last(stage: ProcessorStage) -> None:
    handler = Recorded()
    async with stage.notifications("user") as notifications:
        task_id = await stage.send("user")
        async with processor_in_process(stage, handler, force_stop=False) as lifecycle:
            await wait_until(lambda: "started" in handler.events)
            lifecycle.stopping.set()
            handler.may_end.set()
        await notifications.wait(1)
    assert handler.events == ["set up", "started", "ended", "torn down"]
    assert notifications.statuses() == [(task_id, "finished")]


async def test_handlers_are_torn_down_when_a_task_is_interrupted(stage: ProcessorStage) -> None:
    handler = Recorded()
    async with processor_in_process(stage, handler):
        await stage.send("user")
        await wait_until(lambda: "started" in handler.events)
    assert handler.events == ["set up", "started", "torn down"]
