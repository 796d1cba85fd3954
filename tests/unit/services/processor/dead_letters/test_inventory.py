"""The inventory has the messages that existed at its start, by message id, without those that arrive later."""

from argparse import Namespace
from typing import Any, cast

import pytest

from services.processor.dead_letters.commands import CommandContext, list_dead_letters, show
from services.processor.dead_letters.inventory import MAX_FRUITLESS_RECEIVES, take_inventory
from services.processor.dead_letters.reader import open_reader, visibility_seconds
from services.processor.dead_letters.redrive import Redrive
from tests.support.fakes.dead_letter_queue import ModelQueue
from tests.support.fakes.task_queue import received
from tests.support.processor.dead_letter_steps import redrive_all, run, show_all, succeed


@pytest.mark.parametrize("first", ["new", "old"])
async def test_messages_that_arrive_during_the_run_are_not_included(first: str) -> None:
    """In any order of delivery, and although each redriven task fails again immediately with another one."""
    letters, tasks = ModelQueue(*(received() for _ in range(45))), ModelQueue()
    start = letters.names
    letters.order = lambda names: sorted(names, key=lambda name: (name in start) is (first == "new"))

    def fail(_: str) -> None:
        for _number in range(20):
            letters.add(received(attributes={"redriven": "true"}))

    tasks.after = fail
    assert await redrive_all(letters, tasks) == 0
    assert sorted(message.attributes["redriven"] for message in tasks.sent) == sorted(start)
    assert not letters.names & start
    assert not letters.hidden


async def test_a_stream_of_new_letters_does_not_prevent_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    start = letters.names

    def arrive(_: str) -> None:
        for _number in range(10):
            letters.add(received())

    letters.before = arrive
    assert await redrive_all(letters, tasks) == 0
    assert start <= {message.attributes["redriven"] for message in tasks.sent}
    assert len(tasks.sent) < 150
    assert "Messages kept arriving" in capsys.readouterr().err


async def test_a_slow_stream_of_new_letters_does_not_prevent_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(25))), ModelQueue()
    start = letters.names
    letters.before = lambda call: letters.add(received()) if call == "receive" else None
    assert await redrive_all(letters, tasks) == 0
    assert start <= {message.attributes["redriven"] for message in tasks.sent}
    assert len(tasks.sent) < 60
    assert "Messages kept arriving" in capsys.readouterr().err


async def test_letters_are_found_after_receives_of_only_new_ones() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    start = letters.names
    letters.order = lambda names: sorted(names, key=lambda name: name in start)

    def arrive(call: str) -> None:
        for _ in range(30 if call == "change-visibility" else 0):
            letters.add(received())

    letters.after = arrive
    assert await redrive_all(letters, tasks) == 0
    assert {message.attributes["redriven"] for message in tasks.sent} == start


async def test_messages_that_another_reader_received_are_reported_as_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    letters, tasks = ModelQueue(received(message_id="taken"), received()), ModelQueue()

    def take(call: str) -> None:
        if call == "change-visibility":
            letters.stored.pop("taken", None)

    letters.after = take
    assert await redrive_all(letters, tasks) == 1
    assert len(tasks.sent) == 1
    assert "1 messages of the inventory were not received again, such as taken." in capsys.readouterr().err


async def test_a_search_that_ends_early_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(received())
    letters.after = lambda _: show_all(letters)
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await show(context, Namespace(ids=["wanted"], limit=None, json=False)) == 1
    assert "already read" in capsys.readouterr().err
    assert letters.calls.count("receive") == MAX_FRUITLESS_RECEIVES + 1


async def test_a_list_that_ended_early_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(received(message_id="seen"))
    letters.after = lambda _: show_all(letters)
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await list_dead_letters(context, Namespace(limit=100, json=False)) == 1
    output = capsys.readouterr()
    assert "seen" in output.out
    assert "ended early" in output.err


async def test_show_ends_when_the_message_is_found() -> None:
    letters = ModelQueue(*(received() for _ in range(10)), received(attributes={"taskId": "wanted"}), received())
    letters.add(received())
    wanted = next(name for name, one in letters.stored.items() if one.message.attributes)
    letters.order = lambda names: sorted(names, key=lambda name: name != wanted)
    context = CommandContext(cast("Any", None), letters.as_queue(), None)
    assert await show(context, Namespace(ids=["wanted"], limit=None, json=True)) == 0
    assert letters.calls.count("receive") == 1
    assert not letters.hidden


@pytest.mark.parametrize("sent_ms", [0, 2**50])
async def test_the_inventory_does_not_depend_on_clocks(sent_ms: int) -> None:
    letters, tasks = ModelQueue(received(body="old", sent_ms=sent_ms)), ModelQueue()
    tasks.after = lambda _: letters.add(received(body="new", sent_ms=2**50 - sent_ms))
    assert await redrive_all(letters, tasks) == 0
    assert [message.body for message in tasks.sent] == ["old"]
    assert [one.message.body for one in letters.stored.values()] == ["new"]


async def test_the_limit_bounds_the_receives() -> None:
    letters = ModelQueue(*(received() for _ in range(20)))
    outcome = await run(letters, succeed, limit=12)
    assert len(outcome.done) == 12
    assert [count for count, _ in letters.asked[:2]] == [10, 2]


@pytest.mark.parametrize(("messages", "seconds"), [(1, 300), (15_000, 300), (100_000, 2_000)])
def test_messages_are_hidden_for_longer_where_more_are_read(messages: int, seconds: int) -> None:
    assert visibility_seconds(messages) == seconds


async def test_bodies_are_not_kept() -> None:
    letters, tasks = (
        ModelQueue(received(body="x" * 1_000, attributes={"taskId": "1", "own": "y" * 1_000})),
        ModelQueue(),
    )
    async with open_reader(letters.as_queue()) as reader:
        inventory = await take_inventory(reader, 1, 10)
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    for letter in (*inventory.dead_letters, *outcome.done):
        assert (letter.message.body, letter.message.attributes) == ("", {"taskId": "1"})
    assert tasks.sent[0].body == "x" * 1_000
