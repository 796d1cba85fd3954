"""StartMessageMoveTask, followed to its end. The server is faked at the SDK's border: no emulator here has it."""

import asyncio
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from services.processor.dead_letters import move_task as dead_letter_task
from services.processor.dead_letters.move_task import MoveTask, MoveTaskFailed, MoveTaskRefused


class Server:
    """Returns `states` one after another."""

    def __init__(self, *states: dict[str, Any], refuses: str | None = None) -> None:
        self.states = list(states)
        self.refuses = refuses
        self.starting = asyncio.Event()
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.error: Exception | None = None
        """What a start, or a cancellation, fails with."""
        self.started: dict[str, Any] = {}
        self.cancelled: list[str] = []
        self.polled = asyncio.Event()

    async def start_message_move_task(self, **arguments: Any) -> dict[str, str]:
        if self.refuses:
            raise ClientError({"Error": {"Code": self.refuses}}, "StartMessageMoveTask")
        self.starting.set()
        await self.may_start.wait()
        if self.error and not self.states:
            raise self.error
        self.started = arguments
        return {"TaskHandle": "handle"}

    async def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        self.polled.set()
        return {"Results": [self.states.pop(0) if len(self.states) > 1 else self.states[0]]}

    async def cancel_message_move_task(self, *, TaskHandle: str) -> None:  # noqa: N803 — the SDK's name
        self.cancelled.append(TaskHandle)
        if self.error:
            raise self.error


def task(server: Server) -> MoveTask:
    return MoveTask(cast("Any", server), "source", "destination")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter_task, "POLL_SECONDS", 0.01)


async def test_a_move_is_followed_to_its_end() -> None:
    server = Server(
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 3},
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 7},
    )
    progress: list[int] = []
    assert await task(server).run(20.5, progress.append) == 7
    assert progress == [3, 7]
    assert server.started == {
        "SourceArn": "source",
        "DestinationArn": "destination",
        "MaxNumberOfMessagesPerSecond": 20,
    }


@pytest.mark.parametrize(("given", "sent"), [(0.2, 1), (10_000.0, 500)])
async def test_the_rate_is_within_the_limit_of_sqs(given: float, sent: int) -> None:
    server = Server({"Status": "COMPLETED"})
    await task(server).run(given, lambda _: None)
    assert server.started["MaxNumberOfMessagesPerSecond"] == sent


async def test_without_a_rate_sqs_uses_its_default() -> None:
    server = Server({"Status": "COMPLETED"})
    await task(server).run(0, lambda _: None)
    assert "MaxNumberOfMessagesPerSecond" not in server.started


async def test_an_unsupported_move_is_refused_before_anything_moved() -> None:
    with pytest.raises(MoveTaskRefused, match="InvalidAction"):
        await task(Server(refuses="InvalidAction")).run(1, lambda _: None)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
async def test_a_move_that_did_not_succeed_is_an_error(status: str) -> None:
    server = Server({"Status": status, "ApproximateNumberOfMessagesMoved": 2, "FailureReason": "AccessDenied"})
    with pytest.raises(MoveTaskFailed, match=f"it {status.lower()} after 2: AccessDenied"):
        await task(server).run(1, lambda _: None)


async def test_an_interrupted_command_cancels_the_move() -> None:
    server = Server({"Status": "RUNNING"})
    running = asyncio.create_task(task(server).run(1, lambda _: None))
    await server.polled.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert server.cancelled == ["handle"]


async def test_a_command_that_is_interrupted_while_the_move_starts_cancels_the_move() -> None:
    server = Server({"Status": "RUNNING"})
    server.may_start.clear()
    running = asyncio.create_task(task(server).run(1, lambda _: None))
    await server.starting.wait()
    running.cancel()
    server.may_start.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert server.cancelled == ["handle"]


async def test_a_move_that_cannot_be_cancelled_is_reported_as_continuing() -> None:
    server = Server({"Status": "RUNNING"})
    server.error = answered(500)
    running = asyncio.create_task(task(server).run(1, lambda _: None))
    await server.polled.wait()
    running.cancel()
    with pytest.raises(MoveTaskFailed, match="the move continues, but cannot be cancelled: Code"):
        await running


@pytest.mark.parametrize("lost", ["timeout", "connection", "server"])
async def test_messages_are_not_copied_while_it_is_unknown_whether_sqs_moves_them(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    errors: dict[str, Exception] = {"connection": ReadTimeoutError(endpoint_url="http://sqs"), "server": answered(503)}
    server.error = errors.get(lost)
    if lost == "timeout":
        monkeypatch.setattr(dead_letter_task, "CALL_SECONDS", 0.01)
        server.may_start.clear()
    with pytest.raises(MoveTaskFailed, match="it is unknown whether SQS moves the queue"):
        await task(server).run(1, lambda _: None)


def answered(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "Code"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")  # type: ignore[typeddict-item]
