"""Moving and purging: sent before deleted, each letter once, everything else visible again."""

from collections.abc import Sequence

import pytest

from notification_api import TransientError
from services.common.aws.task_queue import QueueAnswerLost, QueueRefused, QueueUnavailable
from services.processor.dead_letters.reader import MIN_VISIBILITY_SECONDS, DeadLetter
from services.processor.dead_letters.redrive import MOVE_SECONDS, Purge, RateLimiter, Redrive, Result
from tests.support.clock import ManualClock
from tests.support.fakes.dead_letter_queue import ModelQueue
from tests.support.fakes.task_queue import received
from tests.support.processor.dead_letter_steps import fail, redrive_all, run, show_all, succeed


async def test_a_letter_is_deleted_only_after_the_task_queue_has_it() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(3))), ModelQueue()
    there: list[int] = []
    tasks.after = lambda _: there.append(len(letters.names))
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert len(outcome.done) == 3
    assert there == [3]
    assert letters.calls.index("delete") == len(letters.calls) - 1
    assert not letters.names


async def test_a_refused_dead_letter_stays_and_its_neighbours_are_redriven() -> None:
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
    assert reason == "it is in the task queue, but could not be deleted from the dead-letter queue: no"


async def test_a_send_whose_answer_is_lost_is_not_repeated_and_the_letter_stays() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(25))), ModelQueue()

    def lose(_: str) -> None:
        raise QueueAnswerLost("no answer")

    tasks.after = lose
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert {reason for _, reason in outcome.failed} == {"it may be in the task queue as well: no answer"}
    assert len(tasks.sent) == len(outcome.failed) == 10  # after that it ends: the others are in one queue only
    assert outcome.cut_short == "it may be in the task queue as well: no answer"
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


async def test_a_message_that_is_received_again_is_handled_once() -> None:
    letters = ModelQueue(*(received() for _ in range(3)))
    # They do not remain hidden.
    letters.after = lambda _: show_all(letters)
    tasks = ModelQueue()
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(outcome.done), len(tasks.sent), letters.names) == (3, 3, set())


async def test_a_sent_message_that_is_received_again_is_only_deleted() -> None:
    letters, tasks = ModelQueue(*(received() for _ in range(15))), ModelQueue()
    errors: list[Exception] = [QueueRefused("not now")]
    letters.refuses = lambda _call, _body: errors.pop() if errors else None
    letters.after = lambda call: show_all(letters) if call == "delete" else None
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()))
    assert (len(outcome.done), outcome.failed, len(tasks.sent), letters.names) == (15, [], 15, set())


async def test_an_outage_in_the_middle_reports_what_was_done() -> None:
    letters = ModelQueue(*(received() for _ in range(11)))

    async def act(chosen: Sequence[DeadLetter]) -> list[Result]:
        letters.before = fail
        return await succeed(chosen)

    outcome = await run(letters, act)
    assert (len(outcome.done), outcome.cut_short) == (10, "gone")


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


async def test_all_messages_are_visible_again_when_the_command_fails() -> None:
    letters = ModelQueue(received())

    async def act(_: Sequence[DeadLetter]) -> list[Result]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(letters, act)
    assert len(letters.names) == 1
    assert not letters.hidden


async def test_a_letter_whose_visibility_timeout_nearly_ends_is_not_sent() -> None:
    """As after a suspension between receive and send: another command may have moved the message."""
    letters, tasks, clock = ModelQueue(received()), ModelQueue(), ManualClock()
    calls: list[str] = []

    def be_late(call: str) -> None:
        calls.append(call)
        if calls.count("receive") == 3:  # the first of the redrive itself
            clock.advance(MIN_VISIBILITY_SECONDS - MOVE_SECONDS + 1)
            show_all(letters)

    letters.after = be_late
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()), clock=clock)
    assert letters.calls.count("receive") == 4  # it was received again, and then sent in time
    assert (len(tasks.sent), len(outcome.done), letters.names) == (1, 1, set())


async def test_a_letter_that_was_deleted_too_late_to_be_sure_is_reported() -> None:
    letters, tasks, clock = ModelQueue(received()), ModelQueue(), ManualClock()
    tasks.after = lambda _: clock.advance(MIN_VISIBILITY_SECONDS)
    outcome = await run(letters, Redrive(tasks.as_queue(), letters.as_queue()), clock=clock)
    ((_, reason),) = outcome.failed
    assert reason == "it became visible before it was deleted, so it may still be in the dead-letter queue"


async def test_progress_counts_what_is_done() -> None:
    progress: list[int] = []
    await run(ModelQueue(*(received() for _ in range(11))), succeed, progress=progress)
    assert progress == [10, 11]


async def test_a_queue_that_does_not_answer_at_all_is_the_error() -> None:
    letters = ModelQueue(received())
    letters.before = fail
    with pytest.raises(TransientError):
        await redrive_all(letters, ModelQueue())


async def test_the_pace_spreads_messages_over_time() -> None:
    clock = ManualClock()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    rate_limiter = RateLimiter(5, clock=clock, sleep=sleep)
    for _ in range(3):
        await rate_limiter.wait()
        rate_limiter.record(10)
    assert pauses == [0, 2, 2]


async def test_no_pace_is_no_pause() -> None:
    clock = ManualClock()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    rate_limiter = RateLimiter(0, clock=clock, sleep=sleep)
    for _ in range(2):
        await rate_limiter.wait()
        rate_limiter.record(10)
    assert pauses == [0, 0]
