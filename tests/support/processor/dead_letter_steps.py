"""The dead-letter command's steps on queues in memory."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, cast

from services.common.aws.task_queue import QueueUnavailable
from services.processor.dead_letters.commands import Desk, redrive
from services.processor.dead_letters.inventory import take_inventory
from services.processor.dead_letters.reader import Letter, opened
from services.processor.dead_letters.redrive import Act, Outcome, Pace, Result, carry_out
from tests.support.clock import ManualClock
from tests.support.fakes.dead_letter_queue import ModelQueue


async def run(
    letters: ModelQueue,
    act: Act,
    ids: Sequence[str] = (),
    *,
    limit: int = 1_000,
    told: list[int] | None = None,
    clock: ManualClock | None = None,
) -> Outcome:
    clock = clock or ManualClock()
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


async def redrive_all(letters: ModelQueue, tasks: ModelQueue) -> int:
    desk = Desk(cast("Any", None), letters.as_queue(), tasks.as_queue())
    options = {"ids": [], "all": True, "yes": True, "no_move_task": True, "limit": None, "per_second": 0, "json": False}
    return await redrive(desk, Namespace(**options))


def fail(_: str) -> None:
    raise QueueUnavailable("gone")
