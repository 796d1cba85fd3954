"""Moving and purging: sent before deleted, nothing looked at twice, everything else given back."""

import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, cast

import pytest

from services.common.task_queue import QueueRefused, QueueUnavailable, ReceivedMessage, Visibility
from services.processor.dead_letter_commands import Desk, list_letters, redrive
from services.processor.dead_letter_move import Act, Outcome, Pace, Purge, Redrive, Selection, carry_out, nothing
from services.processor.dead_letter_reader import MOST_BARREN, opened
from tests.support.fake_task_queue import FakeTaskQueue, received
from tests.support.hand_clock import HandClock

ALL = Selection(frozenset())


async def run(
    letters: FakeTaskQueue,
    act: Act,
    selection: Selection = ALL,
    *,
    limit: int = 1_000,
    before_ms: float = math.inf,
    told: list[int] | None = None,
) -> Outcome:
    async with opened(letters.as_queue(), limit, before_ms) as reader:
        return await carry_out(reader, selection, act, Pace(0), (told if told is not None else []).append)


def queue_of(*batches: Sequence[ReceivedMessage]) -> FakeTaskQueue:
    queue = FakeTaskQueue()
    for batch in (*batches, []):
        queue.ready.put_nowait(list(batch))
    return queue


def given_back(queue: FakeTaskQueue) -> set[str]:
    changes = [change for batch in queue.changed for change in batch]
    assert all(change == Visibility(change.receipt_handle, 0) for change in changes)
    return {change.receipt_handle for change in changes}


async def test_a_letter_is_deleted_only_after_the_task_queue_has_it() -> None:
    messages = [received() for _ in range(3)]
    letters, tasks = queue_of(messages), FakeTaskQueue()
    seen_deleted: list[int] = []

    def note(_body: str) -> None:
        seen_deleted.append(len(letters.deleted))

    tasks.outcome = note
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert len(outcome.done) == 3
    assert seen_deleted == [0, 0, 0]
    assert sorted(letters.deleted[0]) == sorted(one.receipt_handle for one in messages)
    assert not letters.changed


async def test_a_letter_that_is_not_taken_stays_and_its_neighbours_go() -> None:
    messages = [received(body="good"), received(body="bad"), received(body="good too")]
    letters, tasks = queue_of(messages), FakeTaskQueue()
    tasks.outcome = lambda body: QueueRefused("not this") if body == "bad" else None
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert [(letter.message.body, reason) for letter, reason in outcome.failed] == [("bad", "not this")]
    assert messages[1].receipt_handle not in letters.deleted[0]
    assert given_back(letters) == {messages[1].receipt_handle}


async def test_a_letter_that_was_sent_but_not_deleted_is_reported_as_being_in_both() -> None:
    message = received()
    letters, tasks = queue_of([message]), FakeTaskQueue()
    letters.outcome = lambda _: QueueRefused("no")
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    ((_, reason),) = outcome.failed
    assert reason == "it is on the task queue, but could not be deleted here: no"


async def test_only_what_is_named_is_touched_and_the_search_ends_when_all_is_found() -> None:
    wanted = received(attributes={"taskId": "wanted"})
    others = [received(), received()]
    letters = queue_of(others, [wanted], [received()])
    outcome = await run(letters, Purge(letters.as_queue()), Selection(frozenset({"wanted"})))
    assert [letter.task_id for letter in outcome.done] == ["wanted"]
    assert letters.deleted == [[wanted.receipt_handle]]
    assert given_back(letters) == {one.receipt_handle for one in others}
    assert len(letters.asked) == 2


async def test_a_message_that_comes_again_is_not_looked_at_again() -> None:
    message = received()
    letters = queue_of([message], [message])
    outcome = await run(letters, nothing)
    assert [letter.id for letter in outcome.done] == [message.message_id]
    assert given_back(letters) == {message.receipt_handle}


async def test_what_fails_again_meanwhile_is_left_for_the_next_time() -> None:
    new = received(sent_ms=1_001)
    letters = queue_of([received(sent_ms=1_000), new])
    outcome = await run(letters, Purge(letters.as_queue()), before_ms=1_000)
    assert len(outcome.done) == 1
    assert given_back(letters) == {new.receipt_handle}


async def test_old_messages_are_found_behind_receives_of_new_and_of_seen_ones_alone() -> None:
    new, seen, old = received(sent_ms=1_001), received(), [received() for _ in range(3)]
    outcome = await run(queue_of([new], [seen], [seen], [new, seen], old), nothing, before_ms=1_000)
    assert [letter.id for letter in outcome.done] == [one.message_id for one in (seen, *old)]
    assert outcome.cut_short is None


async def test_a_search_that_is_given_up_says_so() -> None:
    seen = received()
    outcome = await run(queue_of(*[[seen]] * (MOST_BARREN + 2)), nothing, Selection(frozenset({"wanted"})))
    assert "seen already or came meanwhile" in (outcome.cut_short or "")


async def test_a_list_that_ended_early_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    seen = received()
    letters = queue_of(*[[seen]] * (MOST_BARREN + 2))
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await list_letters(desk, Namespace(limit=100, json=False)) == 1
    told = capsys.readouterr()
    assert seen.message_id in told.out
    assert "It ended early" in told.err


async def redrive_all(letters: FakeTaskQueue, tasks: FakeTaskQueue) -> int:
    desk = Desk(cast("Any", None), letters.as_queue(), tasks.as_queue())
    options = {"ids": [], "all": True, "yes": True, "no_move_task": True, "limit": None, "per_second": 0, "json": False}
    return await redrive(desk, Namespace(**options))


async def test_what_is_new_is_told_by_the_clock_of_the_server() -> None:
    """That of a laptop may be minutes off, either way."""
    letters, tasks = queue_of([received(body="old", sent_ms=5), received(body="new", sent_ms=7)]), FakeTaskQueue()
    letters.server_ms = 6
    assert await redrive_all(letters, tasks) == 0
    assert [message.body for batch in tasks.sent for message in batch] == ["old"]


async def test_the_limit_bounds_what_is_asked_for() -> None:
    letters = queue_of([received() for _ in range(10)], [received() for _ in range(2)])
    outcome = await run(letters, nothing, limit=12)
    assert len(outcome.done) == 12
    assert [count for count, _ in letters.asked] == [10, 2]


async def test_an_outage_in_the_middle_reports_what_was_done() -> None:
    letters = FakeTaskQueue()
    letters.ready.put_nowait([received()])

    async def act(chosen: Sequence[object]) -> list[str | None]:
        letters.error = QueueUnavailable("gone")
        return [None] * len(chosen)

    outcome = await run(letters, act)
    assert (len(outcome.done), outcome.cut_short) == (1, "gone")


async def test_an_outage_at_the_start_is_the_error() -> None:
    letters = FakeTaskQueue()
    letters.error = QueueUnavailable("gone")
    with pytest.raises(QueueUnavailable, match="gone"):
        await run(letters, nothing)


async def test_everything_is_given_back_when_the_work_itself_fails() -> None:
    message = received()
    letters = queue_of([message])

    async def act(_: Sequence[object]) -> list[str | None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(letters, act)
    assert given_back(letters) == {message.receipt_handle}


async def test_progress_counts_what_is_done() -> None:
    told: list[int] = []
    await run(queue_of([received() for _ in range(10)], [received()]), nothing, told=told)
    assert told == [10, 11]


async def test_the_pace_spreads_messages_over_time() -> None:
    clock = HandClock()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    pace = Pace(5, clock=clock, sleep=sleep)
    for _ in range(3):
        await pace.keep()
        pace.spent(10)
    assert pauses == [0, 2, 2]


async def test_no_pace_is_no_pause() -> None:
    clock = HandClock()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    pace = Pace(0, clock=clock, sleep=sleep)
    for _ in range(2):
        await pace.keep()
        pace.spent(10)
    assert pauses == [0, 0]
