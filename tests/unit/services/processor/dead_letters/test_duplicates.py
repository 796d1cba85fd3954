"""Dead letters of one failure: one is redriven, and the others go with it."""

from argparse import Namespace
from typing import Any, cast

import pytest

from services.common.aws.task_queue import QueueAnswerLost, QueueRefused, ReceivedMessage
from services.processor.dead_letters.commands import CommandContext, list_dead_letters, purge
from services.processor.dead_letters.redrive import Redrive
from tests.support.fakes.dead_letter_queue import ModelQueue
from tests.support.fakes.task_queue import received
from tests.support.processor.dead_letter_steps import run


def copies(count: int, failure: str = "delivery", **fields: Any) -> list[ReceivedMessage]:
    """Dead letters of one failure, as a crash between the dead letter and the history leaves them."""
    attributes = {"taskId": "task", "deadLetterMessageId": failure}
    return [received(attributes=attributes, **fields) for _ in range(count)]


@pytest.mark.parametrize("between", [0, 8, 25])
async def test_of_the_letters_of_one_failure_one_is_redriven_and_the_others_are_deleted(between: int) -> None:
    first, *others = copies(3)
    letters, tasks = ModelQueue(first, *(received() for _ in range(between)), *others), ModelQueue()
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert [message.attributes["redriven"] for message in tasks.sent].count("delivery") == 1
    assert (len(outcome.done), outcome.duplicates, letters.names) == (between + 1, 2, set())


@pytest.mark.parametrize("named", ["task", "delivery", "own"])
@pytest.mark.parametrize("wanted", [0, 1, 14])
async def test_duplicates_are_deleted_too_where_one_letter_is_named(named: str, wanted: int) -> None:
    first, *others = copies(3)
    there = [first, *(received() for _ in range(12)), *others]
    letters, tasks = ModelQueue(*there), ModelQueue()
    name = {"own": [first, *others][min(wanted, 2)].message_id}.get(named, named)
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()), [name])
    assert [message.attributes["redriven"] for message in tasks.sent] == ["delivery"]
    assert (len(outcome.done), outcome.duplicates, len(letters.names)) == (1, 2, 12)


async def test_a_letter_that_sqs_moved_is_a_duplicate_of_the_one_about_the_same_delivery() -> None:
    letters, tasks = ModelQueue(received(message_id="m", attributes={"taskId": "task"}), *copies(1, "m")), ModelQueue()
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(tasks.sent), len(outcome.done), outcome.duplicates) == (1, 1, 1)


async def test_letters_with_other_content_are_no_duplicates() -> None:
    other_task = received(attributes={"taskId": "other", "deadLetterMessageId": "delivery"})
    letters, tasks = ModelQueue(*copies(1), *copies(1, body="other"), *copies(1, "other"), other_task), ModelQueue()
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(tasks.sent), len(outcome.done), outcome.duplicates) == (4, 4, 0)


@pytest.mark.parametrize("error", [QueueRefused("no"), QueueAnswerLost("no")])
async def test_duplicates_are_kept_until_one_of_them_is_redriven(error: Exception) -> None:
    letters, tasks = ModelQueue(*copies(13)), ModelQueue()
    tasks.refuses = lambda _call, _body: error
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert tasks.calls == ["send"]
    assert (outcome.done, outcome.duplicates, len(letters.names)) == ([], 0, 13)


async def test_a_list_counts_duplicates(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(*copies(3), received())
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await list_dead_letters(context, Namespace(limit=100, json=False)) == 0
    assert "\n2 of them are duplicates of another message of the same failure.\n" in capsys.readouterr().out


async def test_purge_by_task_deletes_all_copies(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(*copies(2), *(received() for _ in range(12)), *copies(1))
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await purge(context, Namespace(ids=["task"], all=False, yes=True, limit=None, json=False)) == 0
    assert "3 deleted." in capsys.readouterr().out
    assert len(letters.names) == 12


async def test_purge_deletes_only_the_copy_that_is_named() -> None:
    first, second = copies(2)
    letters = ModelQueue(first, second)
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    options = Namespace(ids=[first.message_id], all=False, yes=True, limit=None, json=True)
    assert await purge(context, options) == 0
    assert letters.names == {second.message_id}


async def test_purge_all_does_not_delete_later_messages() -> None:
    letters = ModelQueue(*(received() for _ in range(12)))
    start = letters.names
    letters.before = lambda call: letters.add(received()) if call == "delete" else None
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await purge(context, Namespace(ids=[], all=True, yes=True, limit=None, json=True)) == 0
    assert letters.names
    assert not letters.names & start
