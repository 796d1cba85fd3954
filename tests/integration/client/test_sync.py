"""The client without `async`: in scripts, in threads, and beside an event loop of the caller."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from notification_api.client import NotificationApiError, SyncNotificationApi, TaskFailedError
from tests.support.client.fake_api import fake_api
from tests.support.processes.momento import MomentoEmulator
from tests.support.waiting import wait_until_sync


class ServedStage:
    """A fake API in a thread, so that the test itself may block."""

    def __init__(self, emulator: MomentoEmulator) -> None:
        self._emulator = emulator
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> "ServedStage":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with fake_api(self._emulator) as self.api:
            self._ready.set()
            await self._stop.wait()

    def notify(self, task_id: str, status: str = "finished") -> None:
        asyncio.run_coroutine_threadsafe(self.api.notify(task_id, status), self._loop).result(10)


@pytest.fixture
def served(momento_emulator: MomentoEmulator) -> Iterator[ServedStage]:
    with ServedStage(momento_emulator) as served:
        yield served


def test_a_script_submits_waits_and_reads(served: ServedStage) -> None:
    with SyncNotificationApi(served.api.url, token="id-1") as api:
        notifications = api.notifications()
        api.connected()
        task = api.submit("report", {"month": 5}, delay_seconds=1, ttl_seconds=9)
        served.notify(task.id)
        assert task.finished(timeout=10).message == f"finished {task.id}"
        assert next(notifications).task_id == task.id
        assert task.status().status == "queued"
        assert task.cancel().status == "running"
        assert [each.task_id for each in api.history().notifications] == [task.id]
        assert api.mark_read(9) == 9
        served.api.results[task.id] = {"message": "whole", "data": 1}
        assert task.result().data == 1
    (request,) = [each for each in served.api.requests if each.path == "/task"]
    assert request.body == {"type": "report", "data": {"month": 5}, "delaySeconds": 1, "ttlSeconds": 9}


def test_errors_reach_the_caller(served: ServedStage) -> None:
    with SyncNotificationApi(served.api.url, token=lambda: "id-1") as api:
        task = api.submit("report", 1)
        api.connected()
        served.notify(task.id, "failed")
        with pytest.raises(TaskFailedError):
            task.finished(timeout=10)
        with pytest.raises(TimeoutError):
            api.finished("unknown", timeout=0.1)


def test_closing_ends_iterators_and_waits_of_other_threads(served: ServedStage) -> None:
    found: list[object] = []

    def iterate() -> None:
        found.extend(notifications)

    def wait() -> None:
        try:
            api.finished("never", timeout=30)
        except NotificationApiError as error:
            found.append(error)

    with SyncNotificationApi(served.api.url, token="id-1") as api:
        notifications = api.notifications()
        threads = [threading.Thread(target=each) for each in (iterate, wait)]
        for thread in threads:
            thread.start()
        api.connected()
        served.notify("a")
        wait_until_sync(lambda: found, "the notification")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(found) == 2
    assert not [each for each in threading.enumerate() if each.name == "notification-api"]


async def test_it_works_beside_an_event_loop(served: ServedStage) -> None:
    def script() -> str:
        with SyncNotificationApi(served.api.url, token="id-1") as api:
            return api.submit("report", 1, idempotency_key="k").id

    assert await asyncio.to_thread(script) == "task-k"


def test_a_call_after_the_end_fails(served: ServedStage) -> None:
    with SyncNotificationApi(served.api.url, token="id-1") as api:
        task = api.submit("report", 1)
    with pytest.raises(RuntimeError, match="was closed"):
        task.status()


def test_the_end_does_not_wait_for_a_function_for_tokens_that_hangs(served: ServedStage) -> None:
    is_called, may_end = threading.Event(), threading.Event()

    def token() -> str:
        is_called.set()
        may_end.wait(20)
        return "id-1"

    try:
        started = time.monotonic()
        with SyncNotificationApi(served.api.url, token=token) as api:
            api.notifications()
            assert is_called.wait(5)
        assert time.monotonic() - started < 10
    finally:
        may_end.set()


def test_it_has_to_be_opened() -> None:
    with pytest.raises(RuntimeError, match="Open the client first"):
        SyncNotificationApi("http://127.0.0.1:9", token="id-1").history()
