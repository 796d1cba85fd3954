"""The four commands on the dead-letter queue. Each answers the exit status and prints its result."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.common.aws.task_queue import TaskQueue
from services.processor.dead_letters.inventory import Inventory, take_inventory
from services.processor.dead_letters.move_task import MoveTask, NoMoveTask, reason_to_copy
from services.processor.dead_letters.reader import Letter, hold_seconds, opened
from services.processor.dead_letters.redrive import Act, Outcome, Pace, Purge, Redrive, Result, carry_out
from services.processor.dead_letters.report import Progress, print_json, reasons, table, text_of

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_NOT_FOUND = 3
EXIT_INTERRUPTED = 130
SELECT_LIMIT = 10_000
"""Messages that are read where some are looked for."""
MOST_HIDDEN = 100_000
"""Messages that are hidden at once; SQS lets 120,000 be in flight."""
_UNCOUNTED = 100
_CUT_SHORT = "It ended early, the rest was left: {}."


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands work with."""

    client: "SQSClient"
    dead_letters: TaskQueue
    task_queue: TaskQueue | None
    """None for the commands that never send."""

    async def about(self, *, with_hidden: bool = False) -> int:
        """Return about how many messages there are, those in flight left out unless `with_hidden`."""
        names = ["ApproximateNumberOfMessages", *(["ApproximateNumberOfMessagesNotVisible"] if with_hidden else [])]
        found = await self.dead_letters.attributes(*names)
        return sum(int(found.get(name, 0)) for name in names)


async def list_letters(desk: Desk, options: Namespace) -> int:
    """List what there is, and count the reasons and the duplicates."""
    about = await desk.about()
    inventory = await _inventory(desk, about, options.limit)
    letters, duplicates = inventory.letters, len(inventory.duplicates())
    if options.json:
        print_json(
            {
                "messages": [letter.summary() for letter in letters],
                "reasons": reasons(letters),
                "duplicates": duplicates,
                "aboutInQueue": max(about, len(letters)),
                "limit": options.limit,
                "cutShort": inventory.cut_short,
            }
        )
        return EXIT_FAILED if inventory.cut_short else EXIT_DONE
    _say(table(letters) if letters else "The dead-letter queue is empty.")
    if duplicates:
        _say(f"\n{duplicates} of them are duplicates: another letter is about the same failure.")
    if inventory.cut_short:
        _warn(_CUT_SHORT.format(inventory.cut_short))
        return EXIT_FAILED
    if len(letters) == options.limit and about > len(letters):
        _say(f"\nThese are {len(letters)} of about {about}; --limit shows more.")
    return EXIT_DONE


async def show(desk: Desk, options: Namespace) -> int:
    """Show everything of one message, payload included."""
    letters: list[Letter] = []

    def is_wanted(letter: Letter) -> bool:
        if letter.is_named(options.ids):
            letters.append(letter)
        return bool(letters)

    inventory = await _inventory(desk, await desk.about(), options.limit or SELECT_LIMIT, is_wanted)
    if not letters:
        _warn(
            _CUT_SHORT.format(inventory.cut_short)
            if inventory.cut_short
            else f"No message of the dead-letter queue is called {options.ids[0]}."
        )
        return EXIT_FAILED if inventory.cut_short else EXIT_NOT_FOUND
    for letter in letters:
        if options.json:
            print_json(letter.everything())
        else:
            _say(text_of(letter))
    return EXIT_DONE


async def redrive(desk: Desk, options: Namespace) -> int:
    """Put tasks back on the task queue."""
    assert desk.task_queue is not None  # noqa: S101 — the parser has seen to it
    may_move_all = options.all and options.yes and not options.no_move_task and options.limit is None
    counted = await desk.about(with_hidden=True) if may_move_all else 0
    inventory = await _selectable(desk, options)
    if may_move_all and (reason := reason_to_copy(inventory, counted)):
        _warn(f"SQS's own move is not used ({reason}): moving message by message.")
    elif may_move_all:
        try:
            return await _redrive_by_sqs(desk, desk.task_queue, options, inventory.letters)
        except NoMoveTask as error:
            _warn(f"SQS does not move this queue by itself ({error}): moving message by message.")
    names = inventory.with_duplicates(inventory.named(options.ids))
    if options.all and not options.yes:
        return _dry_run(inventory, names, inventory.duplicates(), options, "put back")
    act = Redrive(desk.task_queue, desk.dead_letters)
    outcome = await _act(desk, inventory, names, act, Pace(options.per_second))
    return _report(outcome, inventory, options, "put back", {"by": "copy"})


async def purge(desk: Desk, options: Namespace) -> int:
    """Delete tasks for good."""
    inventory = await _selectable(desk, options)
    names = inventory.named(options.ids)
    if not options.yes:
        return _dry_run(inventory, names, frozenset(), options, "deleted")
    outcome = await _act(desk, inventory, names, Purge(desk.dead_letters), Pace(0))
    return _report(outcome, inventory, options, "deleted", {})


async def _redrive_by_sqs(desk: Desk, task_queue: TaskQueue, options: Namespace, letters: Sequence[Letter]) -> int:
    """Let SQS move all of them. It counts what it moves and does not say which, so they are listed if it moved all."""
    arns = [(await queue.attributes("QueueArn"))["QueueArn"] for queue in (desk.dead_letters, task_queue)]
    progress = Progress(len(letters), sys.stderr)
    try:
        moved = await MoveTask(desk.client, *arns).run(options.per_second, progress)
    finally:
        progress.end()
    if options.json:
        listed = [letter.summary() for letter in letters] if moved >= len(letters) else []
        print_json(_json_of(Outcome(), [], {"by": "move-task", "done": moved, "messages": listed}))
    else:
        if moved >= len(letters):
            _say(table(letters) + "\n")
        _say(f"{moved} of {len(letters)} put back, by SQS itself.")
    return EXIT_DONE


async def _selectable(desk: Desk, options: Namespace) -> Inventory:
    """Read what messages can be chosen from.

    With --all that is about twice as many as SQS counts, which it does late: where letters arrive faster than they are
    read, the reading has to end all the same.
    """
    about = await desk.about()
    limit = options.limit or (min(MOST_HIDDEN, 2 * about + _UNCOUNTED) if options.all else SELECT_LIMIT)
    inventory = await _inventory(desk, about, limit)
    if options.all and options.limit is None and inventory.is_partial and not inventory.cut_short:
        _warn("Dead letters kept arriving while the queue was read: the later ones are left for the next time.")
    return inventory


async def _inventory(
    desk: Desk, about: int, limit: int, is_last: Callable[[Letter], bool] = lambda _: False
) -> Inventory:
    progress = Progress(min(limit, about), sys.stderr, "read ")
    try:
        async with opened(desk.dead_letters, hold_seconds(limit)) as reader:
            return await take_inventory(reader, about, limit, on_progress=progress, is_last=is_last)
    finally:
        progress.end()


async def _act(desk: Desk, inventory: Inventory, names: Collection[str], act: Act, pace: Pace) -> Outcome:
    progress = Progress(len(names), sys.stderr)
    outcome = None
    try:
        async with opened(desk.dead_letters, hold_seconds(len(inventory.entries))) as reader:
            outcome = await carry_out(reader, inventory, names, act, pace, progress)
    except asyncio.CancelledError:
        if outcome is None:
            raise
        outcome.is_interrupted = True  # all was done by then, and has to be reported
    finally:
        progress.end()
    return outcome


def _dry_run(
    inventory: Inventory, names: Collection[str], duplicates: Collection[str], options: Namespace, what: str
) -> int:
    outcome = Outcome(cut_short=inventory.cut_short)
    for name, entry in inventory.entries.items():
        if name in names:
            outcome.results[name] = (entry.letter, Result(is_duplicate=name in duplicates))
    status = _report(outcome, inventory, options, f"would be {what}", {"dryRun": True})
    if not options.json and outcome.done:
        _say("Nothing was done; --yes does it.")
    return status


def _report(outcome: Outcome, inventory: Inventory, options: Namespace, what: str, more: dict[str, Any]) -> int:
    missing = sorted(set(options.ids) - inventory.found(options.ids))
    if options.json:
        print_json(_json_of(outcome, missing, more))
    else:
        _say_outcome(outcome, missing, what)
    if outcome.is_interrupted:
        return EXIT_INTERRUPTED
    if outcome.failed or outcome.cut_short:
        return EXIT_FAILED
    return EXIT_NOT_FOUND if missing else EXIT_DONE


def _json_of(outcome: Outcome, missing: list[str], more: dict[str, Any]) -> dict[str, Any]:
    messages = [letter.summary() for letter in outcome.done]
    return {
        "dryRun": False,
        "done": len(messages),
        "duplicates": outcome.duplicates,
        "messages": messages,
        "failed": [{**letter.summary(), "error": error} for letter, error in outcome.failed],
        "notFound": missing,
        "cutShort": outcome.cut_short,
        **more,
    }


def _say_outcome(outcome: Outcome, missing: list[str], what: str) -> None:
    if outcome.done:
        _say(table(outcome.done) + "\n")
    _say(f"{len(outcome.done)} {what}.")
    if outcome.duplicates:
        verb = "would be" if what.startswith("would") else "were"
        _say(f"{outcome.duplicates} duplicates of these {verb} deleted, not redriven.")
    for letter, error in outcome.failed:
        _warn(f"{letter.id} (task {letter.task_id}) was left: {error}.")
    if outcome.cut_short:
        _warn(_CUT_SHORT.format(outcome.cut_short))
        return
    for name in missing:
        _warn(f"No message of the dead-letter queue is called {name}.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")
