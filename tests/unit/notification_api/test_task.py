"""What a handler can do with its task."""

import asyncio
import math
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import Task, task
from tests.support.processor.make_task import make_task
from tests.support.waiting import wait_until


class Published:
    """Takes what a task publishes."""

    def __init__(self) -> None:
        self.progress: list[tuple[str, float | None]] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, text: str, percent: float | None) -> bool:
        self.progress.append((text, percent))
        await self.may_end.wait()
        return True


def test_a_task_can_be_made_with_the_fields_of_the_first_version() -> None:
    made = Task(id="1", user_id="user", data="x", fields={"data": "x"}, attempt=1, deadline=math.inf)
    assert (made.type, made.max_attempts) == ("default", 5)


async def test_progress_is_published_with_its_percentage() -> None:
    published = Published()
    made = make_task(publish_progress=published)
    assert await made.progress("reading")
    assert await made.progress("reading", 40)
    assert await made.progress("reading", percent=99.5)
    assert published.progress == [("reading", None), ("reading", 40), ("reading", 99.5)]


async def test_a_task_without_a_publisher_publishes_nothing() -> None:
    assert not await make_task().progress("reading", 5)


@given(st.floats() | st.integers() | st.fractions() | st.booleans())
def test_a_percentage_is_always_a_json_number_from_0_to_100(percent: Any) -> None:
    published = Published()
    asyncio.run(make_task(publish_progress=published).progress("reading", percent))
    ((_, taken),) = published.progress
    assert taken is not None
    assert type(taken) in {int, float}
    assert 0 <= taken <= 100
    if 0 <= percent <= 100:
        assert taken == float(percent)


async def test_a_cancelled_task_publishes_no_progress() -> None:
    published = Published()
    made = make_task(publish_progress=published)
    made.cancel()
    assert not await made.progress("reading")
    assert not await asyncio.to_thread(made.progress_from_thread, "reading")
    assert published.progress == []


async def test_progress_can_be_published_from_a_thread() -> None:
    published = Published()
    made = make_task(publish_progress=published, loop=asyncio.get_running_loop())
    assert await asyncio.to_thread(made.progress_from_thread, "reading", 40)
    assert published.progress == [("reading", 40)]


async def test_a_thread_does_not_wait_for_a_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "PROGRESS_SECONDS", 0.05)
    published = Published()
    published.may_end.clear()
    made = make_task(publish_progress=published, loop=asyncio.get_running_loop())
    assert not await asyncio.to_thread(made.progress_from_thread, "reading")
    await wait_until(lambda: len(asyncio.all_tasks()) == 1)  # what it waited for is cancelled


def test_a_thread_that_outlives_the_loop_publishes_nothing() -> None:
    made: list[Task] = []

    async def start() -> None:
        made.append(make_task(publish_progress=Published(), loop=asyncio.get_running_loop()))

    asyncio.run(start())
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(made[0].progress_from_thread("reading")))
    thread.start()
    thread.join()
    assert answers == [False]


async def test_in_the_event_loop_progress_is_awaited() -> None:
    with pytest.raises(RuntimeError, match=r"await task\.progress"):
        make_task(loop=asyncio.get_running_loop()).progress_from_thread("reading")


def test_what_is_read_of_the_cancellation_is_known() -> None:
    made = make_task()
    read = [made.cancelled, made.saw_cancellation]
    made.cancel()
    read += [made.saw_cancellation, made.cancelled, made.saw_cancellation]
    assert read == [False, False, False, True, True]
