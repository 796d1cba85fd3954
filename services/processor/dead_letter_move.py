"""Putting tasks back, and throwing them away: a message leaves the dead-letter queue only once that is safe."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from services.common.batcher import Batcher, BatchPolicy
from services.common.errors import PermanentError, Transient
from services.common.task_message import IDEMPOTENT, TASK_ID
from services.common.task_queue import OutgoingMessage, TaskQueue
from services.processor.dead_letter import MAX_ATTRIBUTES, REDRIVEN, without_dead_letter_attributes
from services.processor.dead_letter_reader import Letter, Reader

_GAVE_UP = "SQS went on giving messages that were seen already or came meanwhile"
# All of a batch of ten is there at once: a moment is enough to put it into one call.
_POLICY = BatchPolicy(idle_linger_seconds=0.001, busy_linger_seconds=0.001)


@dataclass(slots=True)
class Outcome:
    """What became of the letters that were chosen."""

    done: list[Letter] = field(default_factory=list)
    failed: list[tuple[Letter, str]] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    """Those of the ids given that stand for a letter."""
    cut_short: str | None = None
    """Why it ended before its time, if it did."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those of `ids`, or all."""

    ids: frozenset[str]

    @property
    def is_all(self) -> bool:
        return not self.ids

    def is_complete(self, outcome: Outcome) -> bool:
        return not self.is_all and outcome.found >= self.ids


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


class Redrive:
    """Moves letters to the task queue: acknowledged there before they are deleted here, so none is ever lost.

    A letter that was sent and could not be deleted is in both queues, and is reported as failed.
    """

    def __init__(self, task_queue: TaskQueue, dead_letters: TaskQueue) -> None:
        self._sends: Batcher[OutgoingMessage] = Batcher(task_queue.send, _POLICY)
        self._purge = Purge(dead_letters)

    async def __call__(self, letters: Sequence[Letter]) -> list[str | None]:
        """Answer None, or why not, for each of up to ten letters."""
        messages = [redriven(letter) for letter in letters]
        reasons = await _outcomes([self._sends.submit(message, message.size()) for message in messages])
        sent = [letter for letter, reason in zip(letters, reasons, strict=True) if reason is None]
        deleted = iter(await self._purge(sent))
        return [reason or _both(next(deleted)) for reason in reasons]


class Purge:
    """Deletes letters."""

    def __init__(self, dead_letters: TaskQueue) -> None:
        self._deletes: Batcher[str] = Batcher(dead_letters.delete, _POLICY)

    async def __call__(self, letters: Sequence[Letter]) -> list[str | None]:
        """Answer None, or why not, for each of up to ten letters."""
        return await _outcomes([self._deletes.submit(letter.message.receipt_handle) for letter in letters])


Act = Callable[[Sequence[Letter]], Awaitable[Sequence[str | None]]]


async def nothing(letters: Sequence[Letter]) -> list[str | None]:
    """Do nothing: a dry run."""
    return [None] * len(letters)


async def carry_out(
    reader: Reader, selection: Selection, act: Act, pace: Pace, on_progress: Callable[[int], None]
) -> Outcome:
    """Do `act` to every selected letter; what it did not take is given back when the reader closes.

    :raises Transient: when SQS could not be asked and nothing was done yet; later, the outcome says so.
    """
    outcome = Outcome()
    try:
        while not selection.is_complete(outcome):
            await pace.keep()
            batch = await reader.next_batch()
            if not batch:
                outcome.cut_short = _GAVE_UP if reader.gave_up else None
                break
            chosen = [letter for letter in batch if _is_chosen(letter, selection, outcome)]
            _note(outcome, reader, act, zip(chosen, await act(chosen), strict=True))
            pace.spent(len(chosen))
            on_progress(len(outcome.done))
    except Transient as error:
        if not outcome.done and not outcome.failed:
            raise
        outcome.cut_short = str(error)
    return outcome


def _note(outcome: Outcome, reader: Reader, act: Act, results: Iterable[tuple[Letter, str | None]]) -> None:
    for letter, reason in results:
        if reason is not None:
            outcome.failed.append((letter, reason))
            continue
        outcome.done.append(letter)
        if act is not nothing:  # it is gone from here
            reader.settled(letter)


def redriven(letter: Letter) -> OutgoingMessage:
    """Write the letter as the task it was, marked as put back, so that its earlier failure does not answer for it.

    And as one that may come twice: where the letter could not be deleted, it may be put back once more.
    """
    attributes = without_dead_letter_attributes(letter.message.attributes)
    ours = {
        TASK_ID: letter.task_id,
        IDEMPOTENT: "true",
        REDRIVEN: "true",
    }  # the id also where it was the first message's
    others = [name for name in attributes if name not in ours]
    kept = {name: attributes[name] for name in others[: MAX_ATTRIBUTES - len(ours)]}
    return OutgoingMessage(body=letter.message.body, attributes=kept | ours, group_id=letter.message.group_id)


def _is_chosen(letter: Letter, selection: Selection, outcome: Outcome) -> bool:
    named = letter.is_named(selection.ids)
    outcome.found |= named
    return selection.is_all or bool(named)


async def _outcomes(calls: Sequence[Awaitable[None]]) -> list[str | None]:
    return [_sentence(one) for one in await asyncio.gather(*calls, return_exceptions=True)]


def _sentence(outcome: BaseException | None) -> str | None:
    if outcome is None:
        return None
    if isinstance(outcome, Transient | PermanentError):
        return str(outcome)
    raise outcome


def _both(reason: str | None) -> str | None:
    return reason and f"it is on the task queue, but could not be deleted here: {reason}"
