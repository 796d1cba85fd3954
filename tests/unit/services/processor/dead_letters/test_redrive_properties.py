"""Whatever SQS does during a redrive: nothing is lost, nothing is sent twice, and the report says what is left."""

import asyncio
import random
from argparse import Namespace
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notification_api import TransientError
from services.common.aws.task_queue import QueueAnswerLost, QueueUnavailable, ReceivedMessage
from services.processor.dead_letters import commands as dead_letter_commands
from services.processor.dead_letters import redrive as dead_letter_move
from services.processor.dead_letters.commands import CommandContext, redrive
from services.processor.dead_letters.reader import DeadLetter
from tests.support.fakes.dead_letter_queue import ModelQueue
from tests.support.fakes.task_queue import received

BY_SQS = 9
"""From this failure on, SQS moved the first letter: it has its message id and none of the processor's attributes."""


@dataclass(frozen=True)
class Plan:
    """What happens in a run."""

    failures: tuple[int, ...]
    """The failure of each letter that exists at the start."""
    fates: tuple[str, ...]
    """What happens in each call; nothing special in later ones."""
    interrupted_at: int | None
    """When the command is interrupted: each call has a moment before its effect and one after it."""
    arrivals: tuple[int, ...]
    """How many new letters come during each receive."""
    seed: int
    counted: float
    """How many letters SQS counts, as a factor."""
    ids: tuple[str, ...]
    """What is redriven; all of it where nothing is named."""


FATES = st.sampled_from(["ok"] * 12 + ["refused", "lost"])
plans = st.builds(
    Plan,
    failures=st.lists(st.integers(0, 12), min_size=1, max_size=30).map(tuple),
    fates=st.lists(FATES, max_size=60).map(tuple) | st.just(()),
    interrupted_at=st.none() | st.integers(0, 60),
    arrivals=st.lists(st.integers(0, 3), max_size=30).map(tuple),
    seed=st.integers(0, 1_000),
    counted=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    ids=st.sampled_from([(), (), ("task-1", "letter-2"), ("delivery-9", "none")]),
)


class Run:
    """One redrive, and what both queues do during it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report: dict[str, Any] | None = None
        self.status: int | None = None
        self.failed_calls: set[str] = set()
        self.came_back: set[str] = set()
        self.tasks = ModelQueue()
        self.letters = ModelQueue(*_letters(plan.failures))
        self.start = {name: DeadLetter(one.message) for name, one in self.letters.stored.items()}
        shuffled = random.Random(plan.seed)
        self.letters.order = lambda names: shuffled.sample(names, len(names))
        self.letters.counted = int(plan.counted * len(self.start))
        for queue in (self.letters, self.tasks):
            queue.before, queue.after = self._before, self._after
        self._fates, self._arrivals = list(plan.fates), list(plan.arrivals)
        self._new = self._moments = 0

    async def run(self) -> None:
        context = CommandContext(cast("Any", None), self.letters.as_queue(), self.tasks.as_queue())
        options = {"ids": list(self.plan.ids), "all": not self.plan.ids, "yes": True, "no_move_task": True}
        self._command = asyncio.create_task(
            redrive(context, Namespace(**options, limit=None, json=True, per_second=0)), name="redrive"
        )
        async with asyncio.timeout(20):
            await asyncio.wait({self._command})
        if not self._command.cancelled() and not isinstance(self._command.exception(), TransientError):
            self.status = self._command.result()

    def _before(self, call: str) -> None:
        self._fate = self._fates.pop(0) if self._fates else "ok"
        self._pass_moment()
        if self._fate != "ok":
            self.failed_calls.add(call)
        if self._fate == "refused":
            raise QueueUnavailable("refused")

    def _after(self, call: str) -> None:
        """Redriven tasks fail immediately, and other tasks fail, too."""
        self._pass_moment()
        for number, message in enumerate(self.tasks.sent[len(self.came_back) :], len(self.came_back)):
            attributes = {**message.attributes, "deadLetterMessageId": f"sent-{number}"}
            self.came_back.add(f"back-{number}")
            self.letters.add(received(message_id=f"back-{number}", attributes=attributes, body=message.body))
        for _ in range(self._arrivals.pop(0) if self._arrivals and call == "receive" else 0):
            self._new += 1
            self.letters.add(received(message_id=f"new-{self._new}", body=f"new-{self._new}"))
        if self._fate == "lost":
            raise QueueAnswerLost("lost")

    def _pass_moment(self) -> None:
        if self._moments == self.plan.interrupted_at:
            self._command.cancel()
        self._moments += 1

    @property
    def sent(self) -> list[str]:
        return [message.attributes["redriven"] for message in self.tasks.sent]

    def reported(self, kind: str) -> set[str]:
        return {one["messageId"] for one in self.report[kind]} if self.report else set()


def _letters(failures: tuple[int, ...]) -> list[ReceivedMessage]:
    letters: dict[str, ReceivedMessage] = {}
    for number, failure in enumerate(failures):
        letter = received(message_id=f"letter-{number}", attributes={"taskId": f"task-{failure}"}, body=str(failure))
        if failure >= BY_SQS and f"delivery-{failure}" not in letters:
            letter = replace(letter, message_id=f"delivery-{failure}")
        else:
            letter = replace(letter, attributes={**letter.attributes, "deadLetterMessageId": f"delivery-{failure}"})
        letters[letter.message_id] = letter
    return list(letters.values())


def run_of(plan: Plan) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        run = Run(plan)
        patch.setattr(dead_letter_commands, "print_json", lambda report: setattr(run, "report", report))
        patch.setattr(dead_letter_move, "_POLICY", replace(dead_letter_move._POLICY, retry_base_seconds=0))
        asyncio.run(run.run())
    return run


@settings(deadline=None, max_examples=200)
@given(plans)
def test_nothing_is_lost_and_each_failure_is_redriven_at_most_once(plan: Plan) -> None:
    run = run_of(plan)
    assert len(set(run.sent)) == len(run.sent)
    assert run.came_back <= run.letters.names
    for name, letter in run.start.items():
        assert name in run.letters.names or letter.failure_id in run.sent


@settings(deadline=None, max_examples=200)
@given(plans)
def test_messages_in_both_queues_are_reported(plan: Plan) -> None:
    assert_the_report_is_true(run_of(plan))


@pytest.mark.parametrize("moment", range(40))
def test_a_run_that_is_interrupted_at_any_moment_reports_what_it_did(moment: int) -> None:
    failures, arrivals = (1, *range(1, 12)), (0, 0, 0, 2, 2, 2)
    run = run_of(Plan(failures, (), moment, arrivals, seed=1, counted=1, ids=()))
    assert_the_report_is_true(run)
    assert run.status in ((None, 130) if run.report is None else (0, 130))
    assert len(run.sent) == len(set(run.sent))
    assert not run.letters.hidden


def assert_the_report_is_true(run: Run) -> None:
    if run.report is None:
        assert not run.sent
        return
    assert not run.reported("messages") & run.letters.names
    reported = {
        run.start[name].failure_id for name in run.reported("messages") | run.reported("failed") if name in run.start
    }
    for name in run.letters.names & run.start.keys() - run.reported("failed"):
        # Only a duplicate that was not reached any more; the one of it that was sent is reported.
        assert run.start[name].failure_id not in run.sent or (
            run.report["cutShort"] and run.start[name].failure_id in reported
        )


@settings(deadline=None, max_examples=200)
@given(plans)
def test_all_remaining_messages_are_visible_unless_sqs_failed(plan: Plan) -> None:
    run = run_of(plan)
    if not run.failed_calls & {"receive", "change-visibility"}:
        assert not run.letters.hidden


@settings(deadline=None, max_examples=200)
@given(plans)
def test_without_failures_each_dead_letter_is_redriven_once_despite_arrivals(plan: Plan) -> None:
    run = run_of(replace(plan, fates=(), interrupted_at=None))
    assert run.report is not None
    chosen = {name for name, one in run.start.items() if not plan.ids or one.matching_ids(plan.ids)}
    failures = {run.start[name].failure_id for name in chosen}
    assert failures == {failure for failure in run.sent if not failure.startswith("new-")}
    assert not {name for name, one in run.start.items() if one.failure_id in failures} & run.letters.names
    letters = sum(one.failure_id in failures for one in run.start.values())
    assert run.report["done"] + run.report["duplicates"] - letters == len(run.sent) - len(failures)
    assert (run.report["failed"], run.report["cutShort"]) == ([], None)
    assert run.status == (3 if run.report["notFound"] else 0)
