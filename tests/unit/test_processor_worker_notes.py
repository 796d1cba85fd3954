"""The note of an attempt tells the truth, whenever the attempt is cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from services.common.background import Background
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.notification import Format
from services.common.task_message import TaskMessage
from services.processor.attempts import Attempts
from services.processor.breaker import Breaker
from services.processor.claims import Claims
from services.processor.lease import Lease
from services.processor.outcome import RetryPolicy
from services.processor.quarantine import Quarantine
from services.processor.record import Record
from services.processor.run import Runner
from services.processor.task import Task
from services.processor.teller import Teller
from services.processor.worker import Worker
from tests.support.fake_momento import FakeMomento
from tests.support.fake_task_queue import FakeTaskQueue, received
from tests.support.hand_clock import HandClock
from tests.support.soon import soon


class SlowAnswers(FakeMomento):
    """A cache that stores at once and answers late."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = asyncio.Event()

    async def set(self, key: str, value: bytes, **options: Any) -> None:
        await super().set(key, value, **options)
        await self.answering.wait()


async def test_an_attempt_that_is_cut_off_while_its_beginning_is_noted_has_an_end() -> None:
    momento = SlowAnswers()
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    message = received(body=task.body(), attributes=task.attributes(), receive_count=2)
    working = asyncio.create_task(worker(momento).work(Lease(message, HandClock(), 1_000.0, 1_000.0)))
    await soon(lambda: starts(momento) == ["0 beside"])
    working.cancel()
    momento.answering.set()
    await asyncio.wait({working})
    assert working.cancelled()
    assert list(momento.items.values()) == [b"0 ended"]


def starts(momento: FakeMomento) -> list[str]:
    """The notes without what they say of the process and the delivery."""
    return [" ".join(noted.decode().split()[:2]) for noted in momento.items.values()]


class Mute(FakeMomento):
    """A cache that works, and topics that never answer."""

    async def publish(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


async def test_a_finished_attempt_whose_news_is_not_told_has_an_end() -> None:
    """Should the process die before the user is told, the task is no suspect: it killed nobody."""
    momento = Mute()
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    message = received(body=task.body(), attributes=task.attributes(), receive_count=2)
    working = asyncio.create_task(worker(momento, at_once).work(Lease(message, HandClock(), 1_000.0, 1_000.0)))
    await soon(lambda: list(momento.items.values()) == [b"0 ended"])
    assert not working.done()
    working.cancel()
    await asyncio.wait({working})


def worker(momento: FakeMomento, handle: Callable[[Task], Awaitable[str]] | None = None) -> Worker:
    gateway, record = momento.as_momento(), Record(None)
    breaker = Breaker(gateway, on_closed=lambda: None)
    return Worker(
        runner=Runner(handle or never, limit=1, too_many=lambda: None),
        teller=Teller(gateway, record, breaker, Format.TEXT, notify_seconds=1, progress_per_second=0),
        breaker=breaker,
        record=record,
        attempts=Attempts(gateway, record, Background(lambda: None)),
        quarantine=Quarantine(),
        claims=Claims(None, record, Lifecycle().background, ttl_seconds=30),
        dead_letters=Batcher(FakeTaskQueue().send, BatchPolicy()),
        policy=RetryPolicy(max_attempts=5, base_seconds=0, cap_seconds=0),
        receive_wait_seconds=1,
        max_task_seconds=60,
        longest_hold_seconds=60,
    )


async def never(_task: Task) -> str:
    await asyncio.Event().wait()
    return ""


async def at_once(_task: Task) -> str:
    return "done"
