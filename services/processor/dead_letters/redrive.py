"""Redriving and purging: each letter of the inventory once, and deleted only once that is safe."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from services.common.aws.task_queue import OutgoingMessage, QueueAnswerLost, TaskQueue
from services.common.batcher import BATCH_ENTRIES, Batcher, BatchPolicy
from services.common.errors import PermanentError, Transient
from services.common.messages.task_message import IDEMPOTENT, TASK_ID
from services.processor.dead_letters.inventory import MOST_BARREN, Inventory
from services.processor.dead_letters.message import (
    MAX_ATTRIBUTES,
    REDRIVEN,
    REDRIVEN_BY_EARLIER_VERSION,
    without_dead_letter_attributes,
)
from services.processor.dead_letters.reader import Letter, Reader, ended

INTERRUPTED = "it was interrupted"
MOVE_SECONDS = 60
"""Longer than all calls take that move a batch of letters."""
MAX_OVERRULED = 8
_MOST_NAMES = 10
_TOO_LATE = "it was visible again before it was deleted, so it may still be here"
# All of a batch of ten is there at once: a moment is enough to put it into one call.
_POLICY = BatchPolicy(idle_linger_seconds=0.001, busy_linger_seconds=0.001)


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to a letter."""

    error: str | None = None
    is_duplicate: bool = False
    """Whether it was not sent, since another letter of the same failure was."""
    is_outage: bool = False
    """Whether the error is not the letter's own: others would most likely meet it, too."""


@dataclass(slots=True)
class Outcome:
    """What happened to the letters, by message id."""

    results: dict[str, tuple[Letter, Result]] = field(default_factory=dict)
    cut_short: str | None = None
    """Why it ended before its time, if it did."""
    is_interrupted: bool = False

    @property
    def done(self) -> list[Letter]:
        """The letters that were redriven or deleted, without duplicates."""
        return [letter for letter, result in self.results.values() if not result.error and not result.is_duplicate]

    @property
    def duplicates(self) -> int:
        """How many duplicates were deleted."""
        return sum(not result.error and result.is_duplicate for _, result in self.results.values())

    @property
    def failed(self) -> list[tuple[Letter, str]]:
        return [(letter, result.error) for letter, result in self.results.values() if result.error]


class Pace:
    """Spreads messages over time.

    :param per_second: messages a second on the whole; 0 is as fast as it goes.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()

    async def keep(self) -> None:
        """Wait until the next message is due."""
        await self._sleep(max(0.0, self._next_at - self._clock()))

    def spent(self, messages: int) -> None:
        """Note that so many went."""
        if self._per_second:
            self._next_at = max(self._next_at, self._clock()) + messages / self._per_second


class Unconfirmed(PermanentError):
    """Nobody knows whether the task queue has the message: sent again, it could be there twice."""


class Redrive:
    """Moves letters to the task queue: acknowledged there before they are deleted here, so none is ever lost.

    Of the letters of one failure it sends one, once, and deletes the others with it. A letter that was sent and could
    not be deleted is in both queues, and is reported as failed.
    """

    def __init__(self, task_queue: TaskQueue, dead_letters: TaskQueue) -> None:
        self._task_queue = task_queue
        self._sends: Batcher[OutgoingMessage] = Batcher(self._send, _POLICY)
        self._purge = Purge(dead_letters)
        self._sent: dict[bytes, tuple[str, Result]] = {}
        """By failure: the message id of the letter that was sent, and whether that was acknowledged."""

    async def __call__(self, letters: Sequence[Letter]) -> list[Result]:
        """Answer for each of up to ten letters, none of them twice; those that come again are not sent again."""
        failures = [letter.failure() for letter in letters]
        first: dict[bytes, Letter] = {}
        for letter, failure in zip(letters, failures, strict=True):
            if failure not in self._sent:
                first.setdefault(failure, letter)
        messages = [redriven(letter) for letter in first.values()]
        results = await _results([self._sends.submit(message, message.size()) for message in messages])
        self._sent.update((key, (one.id, result)) for (key, one), result in zip(first.items(), results, strict=True))
        return await self._delete(letters, [self._sent[failure] for failure in failures])

    async def _delete(self, letters: Sequence[Letter], sent: Sequence[tuple[str, Result]]) -> list[Result]:
        safe = [letter for letter, (_, result) in zip(letters, sent, strict=True) if not result.error]
        deleted = iter(await self._purge(safe))
        return [
            replace(result if result.error else _both(next(deleted)), is_duplicate=letter.id != sent_id)
            for letter, (sent_id, result) in zip(letters, sent, strict=True)
        ]

    async def _send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        try:
            outcomes = await self._task_queue.send(messages)
        except QueueAnswerLost as error:
            outcomes = [error] * len(messages)
        return [_unconfirmed(one) if isinstance(one, QueueAnswerLost) else one for one in outcomes]


class Purge:
    """Deletes letters."""

    def __init__(self, dead_letters: TaskQueue) -> None:
        self._deletes: Batcher[str] = Batcher(dead_letters.delete, _POLICY)

    async def __call__(self, letters: Sequence[Letter]) -> list[Result]:
        """Answer for each of up to ten letters."""
        return await _results([self._deletes.submit(letter.message.receipt_handle) for letter in letters])


Act = Callable[[Sequence[Letter]], Awaitable[Sequence[Result]]]


async def carry_out(
    reader: Reader,
    inventory: Inventory,
    names: Collection[str],
    act: Act,
    pace: Pace,
    on_progress: Callable[[int], None],
) -> Outcome:
    """Do `act` to the letters of `names`, in whatever order they come; it ends early when it is cancelled.

    :param names: message ids of letters of the inventory.
    """
    outcome = Outcome(cut_short=inventory.cut_short)
    search = _Search(inventory, names)
    try:
        while search.goes_on():
            await pace.keep()
            chosen = search.chosen(await reader.receive(BATCH_ENTRIES), reader)
            if not chosen:
                continue
            outage = await _act(chosen, act, reader, inventory, outcome)
            search.left.difference_update(letter.id for letter in chosen)
            pace.spent(len(chosen))
            on_progress(len(outcome.results))
            if outage and search.left:
                outcome.cut_short = outage
                return outcome
    except asyncio.CancelledError:
        outcome.cut_short, outcome.is_interrupted = INTERRUPTED, True
        return outcome
    except Transient as error:
        outcome.cut_short = str(error)
        return outcome
    outcome.cut_short = search.missing() or outcome.cut_short
    return outcome


class _Search:
    """Looks for letters of the inventory in what SQS gives."""

    def __init__(self, inventory: Inventory, names: Collection[str]) -> None:
        self.left = set(names)
        self._names = frozenset(names)
        self._unread = set(inventory.entries)
        self._barren = 0

    def goes_on(self) -> bool:
        return bool(self.left) and self._barren < MOST_BARREN

    def chosen(self, received: Sequence[Letter], reader: Reader) -> list[Letter]:
        """Return the letters to act on. One that is not hidden for long enough is left to be received again."""
        known = self._unread.intersection(letter.id for letter in received)
        self._unread -= known
        # An empty receive has waited for a second, so fewer of them are enough.
        self._barren = 0 if known else self._barren + (1 if received else 2)
        return [one for one in received if one.id in self._names and reader.is_hidden(one, MOVE_SECONDS)]

    def missing(self) -> str | None:
        if not self.left:
            return None
        names = ", ".join(sorted(self.left)[:_MOST_NAMES])
        return f"{len(self.left)} that were there at the beginning did not come again, such as {names}"


async def _act(
    chosen: Sequence[Letter], act: Act, reader: Reader, inventory: Inventory, outcome: Outcome
) -> str | None:
    """Act to the end, also when cancelled meanwhile: what was sent must be deleted, or reported.

    Returns why it makes no sense to go on, if that is so.
    """
    acting = asyncio.ensure_future(act(chosen))
    try:
        await ended(acting)
    finally:
        for letter, result in zip(chosen, acting.result(), strict=True):
            if not result.error and not reader.is_hidden(letter):
                result = replace(result, error=_TOO_LATE)
            elif not result.error:
                reader.settled(letter)
            outcome.results[letter.id] = (inventory.entries[letter.id].letter, result)  # without its body
    results = acting.result()
    return results[0].error if all(result.is_outage for result in results) else None


def _overruled(letter: Letter) -> str:
    """Name the failures that a redrive overrules: the letter's, and those of the redrives before it.

    Where SQS itself moved a redriven task here, the failure before that redrive is still the one that is known of it.
    """
    earlier = [one for one in letter.message.attributes.get(REDRIVEN, "").split() if one != REDRIVEN_BY_EARLIER_VERSION]
    return " ".join(dict.fromkeys([letter.failure_id, *earlier][:MAX_OVERRULED]))


def redriven(letter: Letter) -> OutgoingMessage:
    """Write the letter as the task it was, marked with the failure that its redrive overrules.

    And as one that may come twice: where the letter could not be deleted, it may be put back once more.
    """
    attributes = without_dead_letter_attributes(letter.message.attributes)
    ours = {
        TASK_ID: letter.task_id,
        IDEMPOTENT: "true",
        REDRIVEN: _overruled(letter),
    }  # the id also where it was the first message's
    others = [name for name in attributes if name not in ours]
    kept = {name: attributes[name] for name in others[: MAX_ATTRIBUTES - len(ours)]}
    return OutgoingMessage(body=letter.message.body, attributes=kept | ours, group_id=letter.message.group_id)


async def _results(calls: Sequence[Awaitable[None]]) -> list[Result]:
    return [_result(one) for one in await asyncio.gather(*calls, return_exceptions=True)]


def _result(outcome: BaseException | None) -> Result:
    if outcome is None:
        return Result()
    if isinstance(outcome, Transient | PermanentError):
        return Result(str(outcome), is_outage=isinstance(outcome, Transient | Unconfirmed))
    raise outcome


def _unconfirmed(error: QueueAnswerLost) -> Unconfirmed:
    return Unconfirmed(f"it may be on the task queue as well: {error}")


def _both(deleted: Result) -> Result:
    error = deleted.error and f"it is on the task queue, but could not be deleted here: {deleted.error}"
    return replace(deleted, error=error)
