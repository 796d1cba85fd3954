"""`redrive --all --yes`: SQS moves the queue by itself only where that runs no task again that is finished."""

import json
from argparse import Namespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from services.common.aws.task_queue import OutgoingMessage, QueueUnavailable, ReceivedMessage
from services.processor.dead_letters.commands import CommandContext, redrive
from tests.support.fakes.dead_letter_queue import ModelQueue
from tests.support.fakes.task_queue import received


class Sqs:
    """Moves the visible letters as SQS does: immediately, with their attributes, as new messages."""

    def __init__(self, letters: ModelQueue, tasks: ModelQueue, *, refuses: bool = False) -> None:
        self.letters = letters
        self.tasks = tasks
        self.refuses = refuses
        self.moved = 0

    async def start_message_move_task(self, **_: Any) -> dict[str, str]:
        if self.refuses:
            raise ClientError({"Error": {"Code": "InvalidAction"}}, "StartMessageMoveTask")
        for name in self.letters.names - self.letters.hidden:
            message = self.letters.stored.pop(name).message
            self.tasks.sent.append(_as_it_is(message))
            self.moved += 1
        return {"TaskHandle": "handle"}

    async def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        return {"Results": [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": self.moved}]}


def _as_it_is(message: ReceivedMessage) -> OutgoingMessage:
    return OutgoingMessage(body=message.body, attributes=message.attributes, group_id=message.group_id)


async def redrive_all(letters: ModelQueue, tasks: ModelQueue, sqs: Sqs, *, is_json: bool = True) -> int:
    context = CommandContext(cast("Any", sqs), letters.as_queue(), tasks.as_queue())
    options = {"ids": [], "all": True, "yes": True, "no_move_task": False, "limit": None, "per_second": 0}
    return await redrive(context, Namespace(**options, json=is_json))


def dead_letter(task_id: str, delivery: str = "") -> ReceivedMessage:
    """A dead letter that the processor sent."""
    attributes = {"taskId": task_id, "deadLetterReason": "max_attempts"}
    return received(attributes={**attributes, "deadLetterMessageId": delivery or f"delivery-{task_id}"})


def moved_by_sqs(task_id: str) -> ReceivedMessage:
    """A task that SQS moved: with its first message id, and without the processor's attributes."""
    return received(message_id=f"delivery-{task_id}", attributes={"taskId": task_id})


async def test_sqs_moves_letters_of_which_each_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(*(dead_letter(str(number)) for number in range(25))), ModelQueue()
    sqs = Sqs(letters, tasks)
    assert await redrive_all(letters, tasks, sqs) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["by"], report["done"], sqs.moved, letters.names) == ("move-task", 25, 25, set())
    assert sorted(message["taskId"] for message in report["messages"]) == sorted(str(number) for number in range(25))


async def test_a_move_by_sqs_lists_each_task_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(dead_letter("task-a"), dead_letter("task-b")), ModelQueue()
    await redrive_all(letters, tasks, Sqs(letters, tasks), is_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [sum(task_id in line for line in lines) for task_id in ("task-a", "task-b")] == [1, 1]
    assert lines[-1] == "2 of 2 redriven by SQS."


async def test_the_result_has_the_number_of_messages_that_sqs_has_moved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    letters, tasks = ModelQueue(*(dead_letter(str(number)) for number in range(12))), ModelQueue()

    def refuse(call: str) -> None:  # the letters of one call stay hidden
        if call == "change-visibility" and letters.calls.count(call) == 1:
            raise QueueUnavailable("not now")

    letters.before = refuse
    await redrive_all(letters, tasks, Sqs(letters, tasks), is_json=False)
    assert capsys.readouterr().out == "2 of 12 redriven by SQS.\n"


async def test_a_task_that_sqs_gave_up_is_marked_so_that_the_history_answers_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    letters, tasks = (
        ModelQueue(*(dead_letter(str(number)) for number in range(25)), moved_by_sqs("finished")),
        ModelQueue(),
    )
    sqs = Sqs(letters, tasks)
    assert await redrive_all(letters, tasks, sqs) == 0
    output = capsys.readouterr()
    assert (
        "SQS does not move the queue, since SQS itself dead-lettered some messages: moving message by message."
        in output.err
    )
    assert (json.loads(output.out)["by"], sqs.moved, letters.names) == ("copy", 0, set())
    assert len(tasks.sent) == 26
    (finished,) = (one.attributes for one in tasks.sent if one.attributes["taskId"] == "finished")
    assert finished == {"taskId": "finished", "idempotent": "true", "redriven": "delivery-finished"}


@pytest.mark.parametrize(
    "copy", [moved_by_sqs("failed"), dead_letter("failed", "delivery-failed")], ids=["moved by SQS", "of a crash"]
)
async def test_a_failed_task_is_redriven_once_where_a_copy_is_beside_its_dead_letter(copy: ReceivedMessage) -> None:
    letters, tasks = ModelQueue(dead_letter("failed"), dead_letter("other"), copy), ModelQueue()
    assert await redrive_all(letters, tasks, Sqs(letters, tasks)) == 0
    assert sorted(one.attributes["redriven"] for one in tasks.sent) == ["delivery-failed", "delivery-other"]
    assert not letters.names


@pytest.mark.parametrize("unread", ["hidden", "invisible", "arriving", "failing"])
async def test_a_queue_that_cannot_be_read_completely_is_not_moved_by_sqs(
    unread: str, capsys: pytest.CaptureFixture[str]
) -> None:
    letters, tasks = ModelQueue(*(dead_letter(str(number)) for number in range(12))), ModelQueue()
    start = letters.names

    def before(call: str) -> None:
        if unread == "arriving":
            letters.add(dead_letter(f"new-{len(letters.calls)}"))
        if unread == "failing" and call == "receive" and letters.calls.count(call) == 2:
            raise QueueUnavailable("not now")

    letters.before = before
    if unread == "hidden":  # by another command, which may end at any time
        letters.add(moved_by_sqs("hidden"))
        letters.stored["delivery-hidden"].is_visible = False
    if unread == "invisible":
        letters.counted = 13
    sqs = Sqs(letters, tasks)
    await redrive_all(letters, tasks, sqs)
    assert "since not all messages could be read:" in capsys.readouterr().err
    assert sqs.moved == 0
    assert {one.attributes["redriven"] for one in tasks.sent}
    assert unread == "failing" or not start & letters.names


async def test_where_sqs_cannot_move_the_queue_it_is_read_once_before_it_is_copied(
    capsys: pytest.CaptureFixture[str],
) -> None:
    letters, tasks = ModelQueue(dead_letter("first"), dead_letter("second")), ModelQueue()
    assert await redrive_all(letters, tasks, Sqs(letters, tasks, refuses=True)) == 0
    assert "SQS does not move the queue (InvalidAction): moving message by message." in capsys.readouterr().err
    assert len(tasks.sent) == 2
    assert letters.calls.count("receive") == 3
