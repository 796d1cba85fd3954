"""Moving and purging: sent before deleted, each letter once, everything else visible again."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, cast

import pytest

from services.common.errors import Transient
from services.common.task_queue import QueueAnswerLost, QueueRefused, QueueUnavailable, ReceivedMessage
from services.processor.dead_letter_commands import Desk, list_letters, purge, redrive, show
from services.processor.dead_letter_inventory import MOST_BARREN, take_inventory
from services.processor.dead_letter_move import (
    MOVE_SECONDS,
    Act,
    Outcome,
    Pace,
    Purge,
    Redrive,
    Result,
    carry_out,
)
from services.processor.dead_letter_reader import HOLD_SECONDS, Letter, hold_seconds, opened
from tests.support.fake_task_queue import received
from tests.support.hand_clock import HandClock
from tests.support.model_queue import ModelQueue


async def run(
    letters: ModelQueue,
    act: Act,
    ids: Sequence[str] = (),
    *,
    limit: int = 1_000,
    told: list[int] | None = None,
    clock: HandClock | None = None,
) -> Outcome:
    clock = clock or HandClock()
    async with opened(letters.as_queue(), clock=clock) as reader:
        inventory = await take_inventory(reader, len(letters.names), limit)
    names = inventory.with_duplicates(inventory.named(ids))
    async with opened(letters.as_queue(), clock=clock) as reader:
        return await carry_out(reader, inventory, names, act, Pace(0), (told if told is not None else []).append)


def show_all(letters: ModelQueue) -> None:
    for name in letters.names:
        letters.show_again(name)


async def succeed(chosen: Sequence[Letter]) -> list[Result]:
    return [Result()] * len(chosen)


async def test_a_letter_is_deleted_only_after_the_task_queue_has_it() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    there: list[int] = []
    tasks.after = lambda _: there.append(len(letters.names))
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert len(outcome.done) == 3
    assert there == [3]
    assert letters.calls.index("delete") == len(letters.calls) - 1
    assert not letters.names


async def test_a_letter_that_is_not_taken_stays_and_its_neighbours_go() -> None:
    letters, tasks = ModelQueue(*(received(body=body) for body in ("good", "bad", "good too"))), ModelQueue()
    bad = next(name for name, one in letters.stored.items() if one.message.body == "bad")
    tasks.refuses = lambda _, body: QueueRefused("not this") if body == "bad" else None
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert [(letter.id, reason) for letter, reason in outcome.failed] == [(bad, "not this")]
    assert letters.names == {bad}
    assert not letters.hidden


async def test_a_letter_that_was_sent_but_not_deleted_is_reported_as_being_in_both() -> None:
    letters, tasks = ModelQueue(received()), ModelQueue()
    letters.refuses = lambda _call, _body: QueueRefused("no")
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    ((_, reason),) = outcome.failed
    assert reason == "it is on the task queue, but could not be deleted here: no"


async def test_a_send_whose_answer_is_lost_is_not_repeated_and_the_letter_stays() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(25))), ModelQueue()

    def lose(_: str) -> None:
        raise QueueAnswerLost("no answer")

    tasks.after = lose
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert {reason for _, reason in outcome.failed} == {"it may be on the task queue as well: no answer"}
    assert len(tasks.sent) == len(outcome.failed) == 10  # after that it ends: the others are in one queue only
    assert outcome.cut_short == "it may be on the task queue as well: no answer"
    assert len(letters.names) == 25


async def test_a_send_that_was_refused_for_the_moment_is_repeated() -> None:
    letters, tasks = ModelQueue(received()), ModelQueue()
    errors = [QueueUnavailable("throttled")]

    def fail_once(_: str) -> None:
        if errors:
            raise errors.pop()

    tasks.before = fail_once
    assert len((await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))).done) == 1
    assert (len(tasks.sent), letters.names) == (1, set())


async def test_only_what_is_named_is_touched() -> None:
    letters = ModelQueue(received(), received(attributes={"taskId": "wanted"}), received())
    others = {name for name, one in letters.stored.items() if not one.message.attributes}
    outcome = await run(letters, Purge(letters.as_queue()), ["wanted"])
    assert [letter.task_id for letter in outcome.done] == ["wanted"]
    assert letters.names == others
    assert not letters.hidden


async def test_a_message_that_comes_again_is_handled_once() -> None:
    letters = ModelQueue(*(received() for _ in range(3)))
    # They never stay hidden.
    letters.after = lambda _: show_all(letters)
    tasks = ModelQueue()
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(outcome.done), len(tasks.sent), letters.names) == (3, 3, set())


async def test_what_was_sent_and_comes_again_is_deleted_without_being_sent_again() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(15))), ModelQueue()
    errors: list[Exception] = [QueueRefused("not now")]
    letters.refuses = lambda _call, _body: errors.pop() if errors else None
    letters.after = lambda call: show_all(letters) if call == "delete" else None
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(outcome.done), outcome.failed, len(tasks.sent), letters.names) == (15, [], 15, set())


@pytest.mark.parametrize("first", ["new", "old"])
async def test_what_comes_meanwhile_is_left_for_the_next_time(first: str) -> None:
    """Whatever is handed out first, and although each that is sent comes back at once, twice as many with it."""
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


async def test_a_stream_of_new_letters_does_not_keep_it_going(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    start = letters.names

    def arrive(_: str) -> None:
        for _number in range(10):
            letters.add(received())

    letters.before = arrive
    assert await redrive_all(letters, tasks) == 0
    assert start <= {message.attributes["redriven"] for message in tasks.sent}
    assert len(tasks.sent) < 150
    assert "Letters kept arriving" in capsys.readouterr().err


async def test_a_trickle_of_new_letters_does_not_keep_it_going(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(25))), ModelQueue()
    start = letters.names
    letters.before = lambda call: letters.add(received()) if call == "receive" else None
    assert await redrive_all(letters, tasks) == 0
    assert start <= {message.attributes["redriven"] for message in tasks.sent}
    assert len(tasks.sent) < 60
    assert "Letters kept arriving" in capsys.readouterr().err


async def test_letters_are_found_behind_receives_of_new_ones_alone() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    start = letters.names
    letters.order = lambda names: sorted(names, key=lambda name: name in start)

    def arrive(call: str) -> None:
        for _ in range(30 if call == "change-visibility" else 0):
            letters.add(received())

    letters.after = arrive
    assert await redrive_all(letters, tasks) == 0
    assert {message.attributes["redriven"] for message in tasks.sent} == start


async def test_what_another_reader_took_meanwhile_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    letters, tasks = ModelQueue(received(message_id="taken"), received()), ModelQueue()

    def take(call: str) -> None:
        if call == "change-visibility":
            letters.stored.pop("taken", None)

    letters.after = take
    assert await redrive_all(letters, tasks) == 1
    assert len(tasks.sent) == 1
    assert "1 that were there at the beginning did not come again, such as taken." in capsys.readouterr().err


async def test_a_search_that_is_given_up_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(received())
    letters.after = lambda _: show_all(letters)
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await show(desk, Namespace(ids=["wanted"], limit=None, json=False)) == 1
    assert "seen already" in capsys.readouterr().err
    assert letters.calls.count("receive") == MOST_BARREN + 1


async def test_a_list_that_ended_early_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(received(message_id="seen"))
    letters.after = lambda _: show_all(letters)
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await list_letters(desk, Namespace(limit=100, json=False)) == 1
    told = capsys.readouterr()
    assert "seen" in told.out
    assert "It ended early" in told.err


async def test_show_ends_when_the_message_is_found() -> None:
    letters = ModelQueue(*(received() for _ in range(10)), received(attributes={"taskId": "wanted"}), received())
    letters.add(received())
    wanted = next(name for name, one in letters.stored.items() if one.message.attributes)
    letters.order = lambda names: sorted(names, key=lambda name: name != wanted)
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await show(desk, Namespace(ids=["wanted"], limit=None, json=True)) == 0
    assert letters.calls.count("receive") == 1
    assert not letters.hidden


async def redrive_all(letters: ModelQueue, tasks: ModelQueue) -> int:
    desk = Desk(cast("Any", None), letters.as_queue(), tasks.as_queue())
    options = {"ids": [], "all": True, "yes": True, "no_move_task": True, "limit": None, "per_second": 0, "json": False}
    return await redrive(desk, Namespace(**options))


@pytest.mark.parametrize("sent_ms", [0, 2**50])
async def test_no_clock_says_what_was_there_at_the_beginning(sent_ms: int) -> None:
    letters, tasks = ModelQueue(received(body="old", sent_ms=sent_ms)), ModelQueue()
    tasks.after = lambda _: letters.add(received(body="new", sent_ms=2**50 - sent_ms))
    assert await redrive_all(letters, tasks) == 0
    assert [message.body for message in tasks.sent] == ["old"]
    assert [one.message.body for one in letters.stored.values()] == ["new"]


async def test_the_limit_bounds_what_is_asked_for() -> None:
    letters = ModelQueue(*(received() for _ in range(20)))
    outcome = await run(letters, succeed, limit=12)
    assert len(outcome.done) == 12
    assert [count for count, _ in letters.asked[:2]] == [10, 2]


async def test_an_outage_in_the_middle_reports_what_was_done() -> None:
    letters = ModelQueue(*(received() for _ in range(11)))

    async def act(chosen: Sequence[Letter]) -> list[Result]:
        letters.before = fail
        return await succeed(chosen)

    outcome = await run(letters, act)
    assert (len(outcome.done), outcome.cut_short) == (10, "gone")


def fail(_: str) -> None:
    raise QueueUnavailable("gone")


async def test_an_outage_at_the_start_is_the_error() -> None:
    letters = ModelQueue(received())
    letters.before = fail
    with pytest.raises(QueueUnavailable, match="gone"):
        await run(letters, succeed)


async def test_an_outage_of_the_task_queue_ends_the_run_at_its_first_batch() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(40))), ModelQueue()
    tasks.before = fail
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(outcome.failed), outcome.cut_short) == (10, "gone")
    assert len(letters.names) == 40
    assert not letters.hidden


async def test_everything_is_visible_again_when_the_work_itself_fails() -> None:
    letters = ModelQueue(received())

    async def act(_: Sequence[Letter]) -> list[Result]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(letters, act)
    assert len(letters.names) == 1
    assert not letters.hidden


async def test_a_letter_whose_time_is_nearly_up_is_not_sent() -> None:
    """As after a laptop was shut between the receive and the send: somebody else may have moved it by then."""
    letters, tasks, clock = ModelQueue(received()), ModelQueue(), HandClock()
    calls: list[str] = []

    def be_late(call: str) -> None:
        calls.append(call)
        if calls.count("receive") == 3:  # the first of the redrive itself
            clock.advance(HOLD_SECONDS - MOVE_SECONDS + 1)
            show_all(letters)

    letters.after = be_late
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()), clock=clock)
    assert letters.calls.count("receive") == 4  # it was received again, and then sent in time
    assert (len(tasks.sent), len(outcome.done), letters.names) == (1, 1, set())


async def test_a_letter_that_was_deleted_too_late_to_be_sure_is_reported() -> None:
    letters, tasks, clock = ModelQueue(received()), ModelQueue(), HandClock()
    tasks.after = lambda _: clock.advance(HOLD_SECONDS)
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()), clock=clock)
    ((_, reason),) = outcome.failed
    assert reason == "it was visible again before it was deleted, so it may still be here"


@pytest.mark.parametrize(("messages", "seconds"), [(1, 300), (15_000, 300), (100_000, 2_000)])
def test_messages_are_hidden_for_longer_where_more_are_read(messages: int, seconds: int) -> None:
    assert hold_seconds(messages) == seconds


async def test_bodies_are_not_kept() -> None:
    letters, tasks = (
        ModelQueue(received(body="x" * 1_000, attributes={"taskId": "1", "own": "y" * 1_000})),
        ModelQueue(),
    )
    async with opened(letters.as_queue()) as reader:
        inventory = await take_inventory(reader, 1, 10)
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    for letter in (*inventory.letters, *outcome.done):
        assert (letter.message.body, letter.message.attributes) == ("", {"taskId": "1"})
    assert tasks.sent[0].body == "x" * 1_000


async def test_progress_counts_what_is_done() -> None:
    told: list[int] = []
    await run(ModelQueue(*(received() for _ in range(11))), succeed, told=told)
    assert told == [10, 11]


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
async def test_duplicates_go_too_where_one_letter_is_named(named: str, wanted: int) -> None:
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
async def test_duplicates_stay_while_none_of_them_is_acknowledged(error: Exception) -> None:
    letters, tasks = ModelQueue(*copies(13)), ModelQueue()
    tasks.refuses = lambda _call, _body: error
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert tasks.calls == ["send"]
    assert (outcome.done, outcome.duplicates, len(letters.names)) == ([], 0, 13)


async def test_a_list_counts_duplicates(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(*copies(3), received())
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await list_letters(desk, Namespace(limit=100, json=False)) == 0
    assert "\n2 of them are duplicates: another letter is about the same failure.\n" in capsys.readouterr().out


async def test_purge_by_task_deletes_all_copies(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ModelQueue(*copies(2), *(received() for _ in range(12)), *copies(1))
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await purge(desk, Namespace(ids=["task"], all=False, yes=True, limit=None, json=False)) == 0
    assert "3 deleted." in capsys.readouterr().out
    assert len(letters.names) == 12


async def test_purge_deletes_only_the_copy_that_is_named() -> None:
    first, second = copies(2)
    letters = ModelQueue(first, second)
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    options = Namespace(ids=[first.message_id], all=False, yes=True, limit=None, json=True)
    assert await purge(desk, options) == 0
    assert letters.names == {second.message_id}


async def test_purge_all_leaves_what_comes_meanwhile() -> None:
    letters = ModelQueue(*(received() for _ in range(12)))
    start = letters.names
    letters.before = lambda call: letters.add(received()) if call == "delete" else None
    desk = Desk(cast("Any", None), letters.as_queue(), None)
    assert await purge(desk, Namespace(ids=[], all=True, yes=True, limit=None, json=True)) == 0
    assert letters.names
    assert not letters.names & start


async def test_a_queue_that_does_not_answer_at_all_is_the_error() -> None:
    letters = ModelQueue(received())
    letters.before = fail
    with pytest.raises(Transient):
        await redrive_all(letters, ModelQueue())


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
