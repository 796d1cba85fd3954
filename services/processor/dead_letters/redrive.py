"""Redriving and purging: each message of the inventory once, deleted only after SQS has acknowledged its copy."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from notification_api import PermanentError, TransientError
from services.common.aws.task_queue import OutgoingMessage, QueueAnswerLost, TaskQueue
from services.common.batcher import BATCH_ENTRIES, Batcher, BatchPolicy
from services.common.messages.task_message import IDEMPOTENT, TASK_ID, TYPE
from services.processor.dead_letter_message import (
    MAX_ATTRIBUTES,
    REDRIVEN,
    REDRIVEN_BY_EARLIER_VERSION,
    redrivable_attributes,
)
from services.processor.dead_letters.inventory import MAX_FRUITLESS_RECEIVES, Inventory
from services.processor.dead_letters.reader import DeadLetter, Reader, wait_uninterrupted

INTERRUPTED = "it was interrupted"
MOVE_SECONDS = 60
"""Longer than all calls that move a batch."""
MAX_OVERRULED = 8
_MOST_NAMES = 10
_TOO_LATE = "it became visible before it was deleted, so it may still be in the dead-letter queue"
# A batch of ten is submitted at once, so a short linger is enough to send it in one call.
_POLICY = BatchPolicy(idle_linger_seconds=0.001, busy_linger_seconds=0.001)


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to a dead letter."""

    error: str | None = None
    is_duplicate: bool = False
    """Whether it was not sent, because another one of the same failure was."""
    is_outage: bool = False
    """Whether the error concerns the queue, so that other messages would probably fail as well."""


@dataclass(slots=True)
class Outcome:
    """What happened to the dead letters, by message id."""

    results: dict[str, tuple[DeadLetter, Result]] = field(default_factory=dict)
    cut_short: str | None = None
    """Why the command ended early, if it did."""
    is_interrupted: bool = False

    @property
    def done(self) -> list[DeadLetter]:
        """The dead letters that were redriven or deleted, without duplicates."""
        return [
            dead_letter for dead_letter, result in self.results.values() if not result.error and not result.is_duplicate
        ]

    @property
    def duplicates(self) -> int:
        """The number of deleted duplicates."""
        return sum(not result.error and result.is_duplicate for _, result in self.results.values())

    @property
    def failed(self) -> list[tuple[DeadLetter, str]]:
        return [(dead_letter, result.error) for dead_letter, result in self.results.values() if result.error]


class RateLimiter:
    """Limits the rate of messages.

    :param per_second: messages per second; 0 for no limit.
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

    async def wait(self) -> None:
        """Wait until the next message is permitted."""
        await self._sleep(max(0.0, self._next_at - self._clock()))

    def record(self, messages: int) -> None:
        """Count messages that were moved."""
        if self._per_second:
            self._next_at = max(self._next_at, self._clock()) + messages / self._per_second


class Unconfirmed(PermanentError):
    """It is unknown whether the task queue has the message. Sending it again could duplicate it."""


class Redrive:
    """Copies dead letters to the task queue, and deletes them after SQS has acknowledged the copy.

    Of several dead letters of one failure one is sent, and all are deleted. One that was sent and could not be deleted
    is in both queues and is reported as failed.
    """

    def __init__(self, task_queue: TaskQueue, dead_letter_queue: TaskQueue) -> None:
        self._task_queue = task_queue
        self._sends: Batcher[OutgoingMessage] = Batcher(self._send, _POLICY)
        self._purge = Purge(dead_letter_queue)
        self._sent: dict[bytes, tuple[str, Result]] = {}
        """By failure: the message id of the dead letter that was sent, and the result."""

    async def __call__(self, dead_letters: Sequence[DeadLetter]) -> list[Result]:
        """Redrive up to ten different dead letters. Those that were sent by an earlier call are only deleted."""
        failures = [dead_letter.failure_key() for dead_letter in dead_letters]
        first: dict[bytes, DeadLetter] = {}
        for dead_letter, failure in zip(dead_letters, failures, strict=True):
            if failure not in self._sent:
                first.setdefault(failure, dead_letter)
        messages = [redriven(dead_letter) for dead_letter in first.values()]
        results = await _results([self._sends.submit(message, message.size()) for message in messages])
        self._sent.update((key, (one.id, result)) for (key, one), result in zip(first.items(), results, strict=True))
        return await self._delete(dead_letters, [self._sent[failure] for failure in failures])

    async def _delete(self, dead_letters: Sequence[DeadLetter], sent: Sequence[tuple[str, Result]]) -> list[Result]:
        safe = [dead_letter for dead_letter, (_, result) in zip(dead_letters, sent, strict=True) if not result.error]
        deleted = iter(await self._purge(safe))
        return [
            replace(result if result.error else _both(next(deleted)), is_duplicate=dead_letter.id != sent_id)
            for dead_letter, (sent_id, result) in zip(dead_letters, sent, strict=True)
        ]

    async def _send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        try:
            outcomes = await self._task_queue.send(messages)
        except QueueAnswerLost as error:
            outcomes = [error] * len(messages)
        return [_unconfirmed(one) if isinstance(one, QueueAnswerLost) else one for one in outcomes]


class Purge:
    """Deletes dead letters."""

    def __init__(self, dead_letter_queue: TaskQueue) -> None:
        self._deletes: Batcher[str] = Batcher(dead_letter_queue.delete, _POLICY)

    async def __call__(self, dead_letters: Sequence[DeadLetter]) -> list[Result]:
        """Delete up to ten dead letters."""
        return await _results(
            [self._deletes.submit(dead_letter.message.receipt_handle) for dead_letter in dead_letters]
        )


Action = Callable[[Sequence[DeadLetter]], Awaitable[Sequence[Result]]]


async def apply(
    reader: Reader,
    inventory: Inventory,
    names: Collection[str],
    action: Action,
    rate_limiter: RateLimiter,
    on_progress: Callable[[int], None],
) -> Outcome:
    """Apply `action` to dead letters of the inventory, in the order of receiving; ends early when it is cancelled.

    :param names: their message ids.
    """
    outcome = Outcome(cut_short=inventory.cut_short)
    search = _Search(inventory, names)
    try:
        while search.is_active():
            await rate_limiter.wait()
            chosen = search.chosen(await reader.receive(BATCH_ENTRIES), reader)
            if not chosen:
                continue
            outage = await _apply_to_batch(chosen, action, reader, inventory, outcome)
            search.left.difference_update(dead_letter.id for dead_letter in chosen)
            rate_limiter.record(len(chosen))
            on_progress(len(outcome.results))
            if outage and search.left:
                outcome.cut_short = outage
                return outcome
    except asyncio.CancelledError:
        outcome.cut_short, outcome.is_interrupted = INTERRUPTED, True
        return outcome
    except TransientError as error:
        outcome.cut_short = str(error)
        return outcome
    outcome.cut_short = search.missing() or outcome.cut_short
    return outcome


class _Search:
    """Finds dead letters of the inventory in what SQS returns."""

    def __init__(self, inventory: Inventory, names: Collection[str]) -> None:
        self.left = set(names)
        self._names = frozenset(names)
        self._unread = set(inventory.entries)
        self._fruitless_receives = 0

    def is_active(self) -> bool:
        return bool(self.left) and self._fruitless_receives < MAX_FRUITLESS_RECEIVES

    def chosen(self, received: Sequence[DeadLetter], reader: Reader) -> list[DeadLetter]:
        """Return the dead letters to process. One that is not hidden for long enough has to be received again."""
        known = self._unread.intersection(dead_letter.id for dead_letter in received)
        self._unread -= known
        # An empty receive has waited for a second, so it counts twice.
        self._fruitless_receives = 0 if known else self._fruitless_receives + (1 if received else 2)
        return [one for one in received if one.id in self._names and reader.is_hidden(one, MOVE_SECONDS)]

    def missing(self) -> str | None:
        if not self.left:
            return None
        names = ", ".join(sorted(self.left)[:_MOST_NAMES])
        return f"{len(self.left)} messages of the inventory were not received again, such as {names}"


async def _apply_to_batch(
    chosen: Sequence[DeadLetter], action: Action, reader: Reader, inventory: Inventory, outcome: Outcome
) -> str | None:
    """Process a batch, also when cancelled: messages that were sent must be deleted or reported.

    :return: the error of an outage, which ends the command.
    """
    acting = asyncio.ensure_future(action(chosen))
    try:
        await wait_uninterrupted(acting)
    finally:
        for dead_letter, result in zip(chosen, acting.result(), strict=True):
            if not result.error and not reader.is_hidden(dead_letter):
                result = replace(result, error=_TOO_LATE)
            elif not result.error:
                reader.mark_deleted(dead_letter)
            outcome.results[dead_letter.id] = (
                inventory.entries[dead_letter.id].dead_letter,
                result,
            )  # without its payload
    results = acting.result()
    return results[0].error if all(result.is_outage for result in results) else None


def _overruled(dead_letter: DeadLetter) -> str:
    """Return the ids of the failures that a redrive overrules: this one and those of earlier redrives.

    If SQS itself dead-lettered a redriven task, the history still contains the failure before that redrive.
    """
    earlier = [
        one for one in dead_letter.message.attributes.get(REDRIVEN, "").split() if one != REDRIVEN_BY_EARLIER_VERSION
    ]
    return " ".join(dict.fromkeys([dead_letter.failure_id, *earlier][:MAX_OVERRULED]))


def redriven(dead_letter: DeadLetter) -> OutgoingMessage:
    """Return the original task, with the failures that the redrive overrules.

    It is marked as idempotent: a dead letter that could not be deleted may be redriven again.
    """
    attributes = redrivable_attributes(dead_letter.message.attributes)
    ours = {
        TASK_ID: dead_letter.task_id,
        IDEMPOTENT: "true",
        REDRIVEN: _overruled(dead_letter),
    }
    others = sorted((name for name in attributes if name not in ours), key=lambda name: name != TYPE)
    kept = {name: attributes[name] for name in others[: MAX_ATTRIBUTES - len(ours)]}
    return OutgoingMessage(body=dead_letter.message.body, attributes=kept | ours, group_id=dead_letter.message.group_id)


async def _results(calls: Sequence[Awaitable[None]]) -> list[Result]:
    return [_result(one) for one in await asyncio.gather(*calls, return_exceptions=True)]


def _result(outcome: BaseException | None) -> Result:
    if outcome is None:
        return Result()
    if isinstance(outcome, TransientError | PermanentError):
        return Result(str(outcome), is_outage=isinstance(outcome, TransientError | Unconfirmed))
    raise outcome


def _unconfirmed(error: QueueAnswerLost) -> Unconfirmed:
    return Unconfirmed(f"it may be in the task queue as well: {error}")


def _both(deleted: Result) -> Result:
    error = (
        deleted.error
        and f"it is in the task queue, but could not be deleted from the dead-letter queue: {deleted.error}"
    )
    return replace(deleted, error=error)
