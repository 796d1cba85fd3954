"""When the tour of task types is left out, and when it fails."""

import asyncio
import json
from typing import Any, cast

import pytest

from local.demo import tour
from local.demo.errors import DemoError
from local.demo.tour import SKIPPED, Tour
from notification_api.client.errors import UnexpectedResponseError
from notification_api.client.http import StageClient
from notification_api.client.subscription import ReceivedNotification


class FakeStage:
    """Accepts tasks, or answers them with a status other than 202."""

    def __init__(self, status: int = 202) -> None:
        self._status = status

    async def submit_task(self, data: Any, **options: Any) -> str:
        if self._status != 202:
            raise UnexpectedResponseError("refused", self._status)
        return "t-1"


async def printed(stage: FakeStage, **notification: Any) -> list[str]:
    lines: list[str] = []
    received: asyncio.Queue[ReceivedNotification] = asyncio.Queue()
    if notification:
        received.put_nowait(ReceivedNotification('{"readUntil": 1}', 1.0))
        received.put_nowait(ReceivedNotification(json.dumps({"taskId": "t-1", "message": "x", **notification}), 1.0))
    await Tour(cast("StageClient", stage), received, lines.append).run()
    return lines


async def test_it_is_left_out_when_the_task_types_are_refused() -> None:
    assert (await printed(FakeStage(400)))[-1] == SKIPPED


async def test_it_is_left_out_when_the_processor_has_other_types() -> None:
    assert (await printed(FakeStage(), status="failed", reason="unknown_type"))[-1] == SKIPPED


async def test_another_answer_is_an_error() -> None:
    with pytest.raises(UnexpectedResponseError, match="refused"):
        await printed(FakeStage(500))


async def test_a_task_that_ends_otherwise_is_an_error() -> None:
    with pytest.raises(DemoError, match="The task failure is finished, not failed"):
        await printed(FakeStage(), status="finished")


async def test_a_missing_notification_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(DemoError, match="no notification"):
        await printed(FakeStage())
