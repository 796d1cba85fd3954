"""The plain ingest, which is the baseline of the benchmark, accepts the load."""

from typing import Any, cast

import pytest

from benchmarks.plain.ingest import CLIENT, VERIFIER, create_app
from benchmarks.support.load import BODY
from services.common.auth.id_token import User
from services.common.lifecycle import Lifecycle
from tests.support.served_app import served_app


class Everybody:
    async def verify(self, _token: str) -> User:
        return User("user", 0)


class Sent:
    """An SQS client that records what is sent."""

    def __init__(self) -> None:
        self.groups: list[str] = []

    async def send_message(self, **call: Any) -> None:
        self.groups.append(call["MessageGroupId"])


async def test_a_task_is_sent_and_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_QUEUE_URL", "http://queue.example/tasks")
    app, sent = create_app(), Sent()
    app[VERIFIER], app[CLIENT] = cast("Any", Everybody()), sent
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    async with served_app(app, Lifecycle()) as served:
        answer = await served.ask("POST", "/task", data=BODY, headers=headers)
    assert (answer.status, sent.groups) == (202, ["user"])
