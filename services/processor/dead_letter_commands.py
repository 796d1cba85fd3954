"""The four commands on the dead-letter queue. Each answers the exit status and prints its result."""

import math
import sys
from argparse import Namespace
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.common.task_queue import TaskQueue
from services.processor.dead_letter_move import Act, Outcome, Pace, Purge, Redrive, Selection, carry_out, nothing
from services.processor.dead_letter_reader import opened
from services.processor.dead_letter_report import Progress, print_json, reasons, table, text_of
from services.processor.dead_letter_task import MoveTask, NoMoveTask

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_NOT_FOUND = 3
SELECT_LIMIT = 10_000
"""Messages that are held while others are looked for; SQS lets 120,000 be in flight."""
_CUT_SHORT = "It ended early, the rest was left: {}."


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands work with."""

    client: "SQSClient"
    dead_letters: TaskQueue
    task_queue: TaskQueue | None
    """None for the commands that never send."""

    async def about(self) -> int:
        """Return about how many messages there are, those in flight left out."""
        name = "ApproximateNumberOfMessages"
        return int((await self.dead_letters.attributes(name)).get(name, 0))


async def list_letters(desk: Desk, options: Namespace) -> int:
    """List what there is, and count the reasons."""
    about = await desk.about()
    async with opened(desk.dead_letters, options.limit) as reader:
        outcome = await carry_out(reader, Selection(frozenset()), nothing, Pace(0), _silent)
    letters = outcome.done
    if options.json:
        print_json(
            {
                "messages": [letter.summary() for letter in letters],
                "reasons": reasons(letters),
                "aboutInQueue": max(about, len(letters)),
                "limit": options.limit,
                "cutShort": outcome.cut_short,
            }
        )
        return EXIT_FAILED if outcome.cut_short else EXIT_DONE
    _say(table(letters) if letters else "The dead-letter queue is empty.")
    if outcome.cut_short:
        _warn(_CUT_SHORT.format(outcome.cut_short))
        return EXIT_FAILED
    if len(letters) == options.limit and about > len(letters):
        _say(f"\nThese are {len(letters)} of about {about}; --limit shows more.")
    return EXIT_DONE


async def show(desk: Desk, options: Namespace) -> int:
    """Show everything of one message, payload included."""
    outcome = await _act(desk, options, nothing, Pace(0))
    if outcome.cut_short:
        _warn(_CUT_SHORT.format(outcome.cut_short))
        return EXIT_FAILED
    if not outcome.done:
        _warn(f"No message of the dead-letter queue is called {options.ids[0]}.")
        return EXIT_NOT_FOUND
    for letter in outcome.done:
        if options.json:
            print_json(letter.everything())
        else:
            _say(text_of(letter))
    return EXIT_DONE


async def redrive(desk: Desk, options: Namespace) -> int:
    """Put tasks back on the task queue."""
    assert desk.task_queue is not None  # noqa: S101 — the parser has seen to it
    if options.all and not options.yes:
        return await _dry_run(desk, options, "put back")
    if options.all and not options.no_move_task and options.limit is None:
        try:
            return await _redrive_by_sqs(desk, desk.task_queue, options)
        except NoMoveTask as reason:
            _warn(f"SQS does not move this queue by itself ({reason}): moving message by message.")
    outcome = await _act(desk, options, Redrive(desk.task_queue, desk.dead_letters), Pace(options.per_second))
    return _tell(outcome, options, "put back", {"by": "copy"})


async def purge(desk: Desk, options: Namespace) -> int:
    """Delete tasks for good."""
    if not options.yes:
        return await _dry_run(desk, options, "deleted")
    outcome = await _act(desk, options, Purge(desk.dead_letters), Pace(0))
    return _tell(outcome, options, "deleted", {})


async def _redrive_by_sqs(desk: Desk, task_queue: TaskQueue, options: Namespace) -> int:
    arns = [(await queue.attributes("QueueArn"))["QueueArn"] for queue in (desk.dead_letters, task_queue)]
    progress = Progress(await desk.about(), sys.stderr)
    try:
        moved = await MoveTask(desk.client, *arns).run(options.per_second, progress)
    finally:
        progress.end()
    if options.json:
        print_json({"dryRun": False, "by": "move-task", "done": moved, "failed": [], "notFound": [], "cutShort": None})
    else:
        _say(f"{moved} put back, by SQS itself.")
    return EXIT_DONE


async def _dry_run(desk: Desk, options: Namespace, what: str) -> int:
    outcome = await _act(desk, options, nothing, Pace(0))
    status = _tell(outcome, options, f"would be {what}", {"dryRun": True})
    if not options.json and outcome.done:
        _say("Nothing was done; --yes does it.")
    return status


async def _act(desk: Desk, options: Namespace, act: Act, pace: Pace) -> Outcome:
    selection = Selection(frozenset(options.ids))
    held = selection.ids or act is nothing
    limit = options.limit or (SELECT_LIMIT if held else sys.maxsize)  # what is moved or deleted is not held
    progress = Progress(len(selection.ids) or min(limit, await desk.about()), sys.stderr)
    # What arrives while all is put back is left out: a task that fails again would go round for ever.
    before_ms = math.inf if held else await desk.dead_letters.now_ms()
    try:
        async with opened(desk.dead_letters, limit, before_ms) as reader:
            return await carry_out(reader, selection, act, pace, progress)
    finally:
        progress.end()


def _tell(outcome: Outcome, options: Namespace, what: str, more: dict[str, Any]) -> int:
    missing = sorted(set(options.ids) - outcome.found)
    if options.json:
        failed = [{**letter.summary(), "error": reason} for letter, reason in outcome.failed]
        messages = [letter.summary() for letter in outcome.done]
        told = {"dryRun": False, "done": len(messages), "messages": messages, "failed": failed, "notFound": missing}
        print_json(told | more | {"cutShort": outcome.cut_short})
    else:
        _say_outcome(outcome, missing, what)
    if outcome.failed or outcome.cut_short:
        return EXIT_FAILED
    return EXIT_NOT_FOUND if missing else EXIT_DONE


def _say_outcome(outcome: Outcome, missing: list[str], what: str) -> None:
    if outcome.done:
        _say(table(outcome.done) + "\n")
    _say(f"{len(outcome.done)} {what}.")
    for letter, reason in outcome.failed:
        _warn(f"{letter.id} (task {letter.task_id}) was left: {reason}.")
    if outcome.cut_short:
        _warn(_CUT_SHORT.format(outcome.cut_short))
        return
    for name in missing:
        _warn(f"No message of the dead-letter queue is called {name}.")


def _silent(_done: int) -> None:
    pass


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")
