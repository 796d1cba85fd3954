"""When the tour of task types is left out, and when it fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from local.demo import tour
from local.demo.errors import DemoError
from local.demo.tour import SKIPPED, Tour
from notification_api.client import Notification, NotificationApi, ServiceError, SubmittedTask
from notification_api.client.notification import parse_notification


class FakeApi:
    """Accepts tasks, or answers them with a status other than 202."""

    def __init__(self, status: int = 202) -> None:
        self._status = status

    async def submit(self, task_type: str, data: Any, **options: Any) -> SubmittedTask:
        if self._status != 202:
            raise ServiceError("refused", self._status)
        return SubmittedTask("t-1", cast("NotificationApi", self))


async def printed(api: FakeApi, **notification: Any) -> list[str]:
    lines: list[str] = []

    async def received() -> AsyncIterator[Notification]:
        if notification:
            yield Notification(message="from a backend", notification_id="n-1")
            parsed = parse_notification({"taskId": "t-1", "message": "x", **notification})
            assert parsed is not None
            yield parsed
        await asyncio.Event().wait()

    await Tour(cast("NotificationApi", api), received(), lines.append).run()
    return lines


async def test_it_is_left_out_when_the_task_types_are_refused() -> None:
    assert (await printed(FakeApi(400)))[-1] == SKIPPED


async def test_it_is_left_out_when_the_processor_has_other_types() -> None:
    assert (await printed(FakeApi(), status="failed", reason="unknown_type"))[-1] == SKIPPED


async def test_another_answer_is_an_error() -> None:
    with pytest.raises(ServiceError, match="refused"):
        await printed(FakeApi(500))


async def test_a_task_that_ends_otherwise_is_an_error() -> None:
    with pytest.raises(DemoError, match="The task failure is finished, not failed"):
        await printed(FakeApi(), status="finished")


async def test_a_missing_notification_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(DemoError, match="no notification"):
        await printed(FakeApi())
