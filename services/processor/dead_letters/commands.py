"""The four commands. Each prints its result and returns the exit status."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.common.aws.task_queue import TaskQueue
from services.processor.dead_letters.inventory import Inventory, take_inventory
from services.processor.dead_letters.move_task import MoveTask, MoveTaskRefused, reason_to_copy
from services.processor.dead_letters.reader import DeadLetter, open_reader, visibility_seconds
from services.processor.dead_letters.redrive import Action, Outcome, Purge, RateLimiter, Redrive, Result, apply
from services.processor.dead_letters.report import Progress, print_json, reasons, table, text_of

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_NOT_FOUND = 3
EXIT_INTERRUPTED = 130
SELECT_LIMIT = 10_000
"""Messages to read when some are searched by id."""
MAX_HIDDEN = 100_000
"""Messages that are hidden at the same time; SQS permits 120,000 in flight."""
_UNCOUNTED = 100
_CUT_SHORT = "The command ended early, the other messages are unchanged: {}."


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The queues of a command."""

    client: "SQSClient"
    dead_letter_queue: TaskQueue
    task_queue: TaskQueue | None
    """None for commands that do not send."""

    async def approximate_count(self, *, with_hidden: bool = False) -> int:
        """Return about how many messages the dead-letter queue has, including those in flight if `with_hidden`."""
        names = ["ApproximateNumberOfMessages", *(["ApproximateNumberOfMessagesNotVisible"] if with_hidden else [])]
        counts = await self.dead_letter_queue.attributes(*names)
        return sum(int(counts.get(name, 0)) for name in names)


async def list_dead_letters(context: CommandContext, options: Namespace) -> int:
    """List messages, and count their reasons and duplicates."""
    count = await context.approximate_count()
    inventory = await _read(context, count, options.limit)
    dead_letters, duplicates = inventory.dead_letters, len(inventory.duplicates())
    if options.json:
        print_json(
            {
                "messages": [dead_letter.summary() for dead_letter in dead_letters],
                "reasons": reasons(dead_letters),
                "duplicates": duplicates,
                "approximateCount": max(count, len(dead_letters)),
                "limit": options.limit,
                "cutShort": inventory.cut_short,
            }
        )
        return EXIT_FAILED if inventory.cut_short else EXIT_DONE
    _print(table(dead_letters) if dead_letters else "The dead-letter queue is empty.")
    if duplicates:
        _print(f"\n{duplicates} of them are duplicates of another message of the same failure.")
    if inventory.cut_short:
        _warn(_CUT_SHORT.format(inventory.cut_short))
        return EXIT_FAILED
    if len(dead_letters) == options.limit and count > len(dead_letters):
        _print(f"\nThese are {len(dead_letters)} of about {count}; --limit shows more.")
    return EXIT_DONE


async def show(context: CommandContext, options: Namespace) -> int:
    """Show one message, payload included."""
    dead_letters: list[DeadLetter] = []

    def is_wanted(dead_letter: DeadLetter) -> bool:
        if dead_letter.matching_ids(options.ids):
            dead_letters.append(dead_letter)
        return bool(dead_letters)

    inventory = await _read(context, await context.approximate_count(), options.limit or SELECT_LIMIT, is_wanted)
    if not dead_letters:
        _warn(
            _CUT_SHORT.format(inventory.cut_short)
            if inventory.cut_short
            else f"No message of the dead-letter queue has the id {options.ids[0]}."
        )
        return EXIT_FAILED if inventory.cut_short else EXIT_NOT_FOUND
    for dead_letter in dead_letters:
        if options.json:
            print_json(dead_letter.details())
        else:
            _print(text_of(dead_letter))
    return EXIT_DONE


async def redrive(context: CommandContext, options: Namespace) -> int:
    """Redrive messages to the task queue."""
    assert context.task_queue is not None  # noqa: S101 — the parser requires it
    may_move_all = options.all and options.yes and not options.no_move_task and options.limit is None
    counted = await context.approximate_count(with_hidden=True) if may_move_all else 0
    inventory = await _selectable(context, options)
    if may_move_all and (reason := reason_to_copy(inventory, counted)):
        _warn(f"SQS does not move the queue, since {reason}: moving message by message.")
    elif may_move_all:
        try:
            return await _redrive_by_sqs(context, context.task_queue, options, inventory.dead_letters)
        except MoveTaskRefused as error:
            _warn(f"SQS does not move the queue ({error}): moving message by message.")
    names = inventory.with_duplicates(inventory.named(options.ids))
    if options.all and not options.yes:
        return _dry_run(inventory, names, inventory.duplicates(), options, "redriven")
    action = Redrive(context.task_queue, context.dead_letter_queue)
    outcome = await _apply(context, inventory, names, action, RateLimiter(options.per_second))
    return _report(outcome, inventory, options, "redriven", {"by": "copy"})


async def purge(context: CommandContext, options: Namespace) -> int:
    """Delete messages permanently."""
    inventory = await _selectable(context, options)
    names = inventory.named(options.ids)
    if not options.yes:
        return _dry_run(inventory, names, frozenset(), options, "deleted")
    outcome = await _apply(context, inventory, names, Purge(context.dead_letter_queue), RateLimiter(0))
    return _report(outcome, inventory, options, "deleted", {})


async def _redrive_by_sqs(
    context: CommandContext, task_queue: TaskQueue, options: Namespace, dead_letters: Sequence[DeadLetter]
) -> int:
    """Let SQS move the whole queue. SQS only reports a count, so the messages are listed if it moved all."""
    arns = [(await queue.attributes("QueueArn"))["QueueArn"] for queue in (context.dead_letter_queue, task_queue)]
    progress = Progress(len(dead_letters), sys.stderr)
    try:
        moved = await MoveTask(context.client, *arns).run(options.per_second, progress)
    finally:
        progress.end()
    if options.json:
        listed = [dead_letter.summary() for dead_letter in dead_letters] if moved >= len(dead_letters) else []
        print_json(_json_of(Outcome(), [], {"by": "move-task", "done": moved, "messages": listed}))
    else:
        if moved >= len(dead_letters):
            _print(table(dead_letters) + "\n")
        _print(f"{moved} of {len(dead_letters)} redriven by SQS.")
    return EXIT_DONE


async def _selectable(context: CommandContext, options: Namespace) -> Inventory:
    """Read the messages to select from.

    With --all, at most about twice as many are read as SQS counts, since its count lags behind. So reading ends even
    if messages arrive faster than they are read.
    """
    count = await context.approximate_count()
    limit = options.limit or (min(MAX_HIDDEN, 2 * count + _UNCOUNTED) if options.all else SELECT_LIMIT)
    inventory = await _read(context, count, limit)
    if options.all and options.limit is None and inventory.is_partial and not inventory.cut_short:
        _warn("Messages kept arriving while the queue was read: the later ones are not included.")
    return inventory


async def _read(
    context: CommandContext, count: int, limit: int, is_last: Callable[[DeadLetter], bool] = lambda _: False
) -> Inventory:
    progress = Progress(min(limit, count), sys.stderr, "read ")
    try:
        async with open_reader(context.dead_letter_queue, visibility_seconds(limit)) as reader:
            return await take_inventory(reader, count, limit, on_progress=progress, is_last=is_last)
    finally:
        progress.end()


async def _apply(
    context: CommandContext, inventory: Inventory, names: Collection[str], action: Action, rate_limiter: RateLimiter
) -> Outcome:
    progress = Progress(len(names), sys.stderr)
    outcome = None
    try:
        async with open_reader(context.dead_letter_queue, visibility_seconds(len(inventory.entries))) as reader:
            outcome = await apply(reader, inventory, names, action, rate_limiter, progress)
    except asyncio.CancelledError:
        if outcome is None:
            raise
        outcome.is_interrupted = True  # the work had finished, and is reported
    finally:
        progress.end()
    return outcome


def _dry_run(
    inventory: Inventory, names: Collection[str], duplicates: Collection[str], options: Namespace, what: str
) -> int:
    outcome = Outcome(cut_short=inventory.cut_short)
    for name, entry in inventory.entries.items():
        if name in names:
            outcome.results[name] = (entry.dead_letter, Result(is_duplicate=name in duplicates))
    status = _report(outcome, inventory, options, f"would be {what}", {"dryRun": True})
    if not options.json and outcome.done:
        _print("Nothing was changed; --yes does it.")
    return status


def _report(outcome: Outcome, inventory: Inventory, options: Namespace, what: str, more: dict[str, Any]) -> int:
    missing = sorted(set(options.ids) - inventory.found(options.ids))
    if options.json:
        print_json(_json_of(outcome, missing, more))
    else:
        _print_outcome(outcome, missing, what)
    if outcome.is_interrupted:
        return EXIT_INTERRUPTED
    if outcome.failed or outcome.cut_short:
        return EXIT_FAILED
    return EXIT_NOT_FOUND if missing else EXIT_DONE


def _json_of(outcome: Outcome, missing: list[str], more: dict[str, Any]) -> dict[str, Any]:
    messages = [dead_letter.summary() for dead_letter in outcome.done]
    return {
        "dryRun": False,
        "done": len(messages),
        "duplicates": outcome.duplicates,
        "messages": messages,
        "failed": [{**dead_letter.summary(), "error": error} for dead_letter, error in outcome.failed],
        "notFound": missing,
        "cutShort": outcome.cut_short,
        **more,
    }


def _print_outcome(outcome: Outcome, missing: list[str], what: str) -> None:
    if outcome.done:
        _print(table(outcome.done) + "\n")
    _print(f"{len(outcome.done)} {what}.")
    if outcome.duplicates:
        verb = "would be" if what.startswith("would") else "were"
        _print(f"{outcome.duplicates} duplicates of these {verb} deleted, not redriven.")
    for dead_letter, error in outcome.failed:
        _warn(f"{dead_letter.id} (task {dead_letter.task_id}) failed: {error}.")
    if outcome.cut_short:
        _warn(_CUT_SHORT.format(outcome.cut_short))
        return
    for name in missing:
        _warn(f"No message of the dead-letter queue has the id {name}.")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")
