"""The end of a task: its result is kept, dead-lettered where it failed for good, stored and published.

Each step that is done is remembered, in this process and in the history, so that a later delivery of the same message
does only what is missing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from services.common.aws.task_queue import OutgoingMessage, ReceivedMessage
from services.common.background import Background
from services.common.batcher import Batcher
from services.common.errors import Transient
from services.common.messages.notification import MAX_BYTES, failed
from services.common.messages.task_message import MalformedTask, parse_task, task_id_of
from services.common.momento.history import HistoryEntry
from services.common.telemetry.tracing import exemplar
from services.processor.dead_letters.message import Reason, is_overruled, send_dead_letter
from services.processor.delivery.delivery import Delivery
from services.processor.metrics import END_TO_END_SECONDS, REPEATED
from services.processor.notify.history import Record
from services.processor.notify.notifier import Teller
from services.processor.notify.results import Result, Results
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Done, Verdict

logger = logging.getLogger(__name__)

CONFLICT = "the Idempotency-Key was used before with another body; send the request again with a new key"
CUT_OFF_SECONDS = 2.0
"""How long a dead letter that is being sent is waited for when its task is cut off."""
DEAD_LETTER_SECONDS = 3_600.0
"""How long a dead letter is tried with one delivery."""
DEAD_LETTER_PAUSE_CAP_SECONDS = 120.0
"""Between two tries. Each try that has an effect and no answer leaves a duplicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Concludes tasks, and knows of those that were concluded before."""

    results: Results
    record: Record
    teller: Teller
    dead_letters: Batcher[OutgoingMessage]
    background: Background

    def is_stored(self, delivery: Delivery) -> bool:
        """Return whether the history has the task's result, although it is not published yet."""
        result = self.kept(delivery)
        return result is not None and result.stored and self.record.is_on

    def kept(self, delivery: Delivery) -> Result | None:
        """Return the result that this process has of the task, unless a redrive overrules it."""
        task = delivery.task
        return self._kept(task.user_id, task.task_id, delivery.message)

    async def known_here(self, delivery: Delivery) -> Result | None:
        """Return the result that this process has of the task, unless another process has concluded the task since."""
        kept = self.kept(delivery)
        if kept is None or kept.stored:
            return kept
        task = delivery.task
        entry = await self.record.find(task.user_id, task.task_id)
        if entry is None or is_overruled(entry, delivery.message):
            return kept
        if entry.notification.time_ms == kept.entry.notification.time_ms:  # our own, whose answer was lost
            kept.stored = True
            return kept
        self.results.forget(kept)
        return Result(task.user_id, entry, stored=True)

    async def find(self, delivery: Delivery) -> Result | None:
        """Return the task's result by the history, unless a redrive overrules it."""
        task = delivery.task
        return await self._find(task.user_id, task.task_id, delivery.message)

    async def store_last(self, delivery: Delivery) -> bool:
        """Store the task's result before its delivery is cut off; returns whether it is stored.

        A failure whose dead letter is not sent is not stored: whoever found it would not send that letter.
        """
        result = delivery.outcome or self.kept(delivery)
        if result is None or result.dead_letter is not None:
            return False
        await self.record.store_last(result)
        return result.stored

    async def finished(self, delivery: Delivery) -> Verdict:
        """Deliver the result of the handler's run."""
        result = delivery.outcome
        assert result is not None  # noqa: S101 — the handler has just returned it
        return await self._deliver(delivery.lease, result, "finished")

    async def again(self, delivery: Delivery, known: Result) -> Verdict:
        """Repeat the missing steps of a task that was done before, or refuse another body with its key."""
        if delivery.conflicts_with(known):
            return await self._conflict(delivery)
        REPEATED.inc()
        return await self._deliver(delivery.lease, known, "repeated")

    async def dead_letter(self, delivery: Delivery, reason: Reason, detail: str) -> Verdict:
        """Give the task up: dead letter first, so that a notified user can rely on it."""
        task = delivery.task
        result = self.kept(delivery)
        if result is None or result.entry.message_id != delivery.message.message_id:
            result = delivery.result(failed(task.task_id, delivery.data[: MAX_BYTES + 1], _now_ms()), (reason, detail))
            self.results.keep(result)
        return await self._deliver(delivery.lease, result, "failed")

    async def unreadable(self, lease: Lease, error: MalformedTask) -> Verdict:
        """Dead-letter what is no task, and notify the user if at least that could be read."""
        message = lease.message
        logger.error("message is no task: %s", error, extra={"action": "dead-letter"})
        user_id, task_id = error.user_id, task_id_of(message.attributes, message.message_id)
        if user_id is None:
            await self._send_dead_letter(
                lease, Reason.UNREADABLE, str(error), lambda: self.results.conclude(message.message_id)
            )
            return Done("unreadable")
        known = self._kept(user_id, task_id, message)
        if known is None and message.receive_count > 1:
            known = await self._find(user_id, task_id, message)
        if known is not None:
            REPEATED.inc()
            return await self._deliver(lease, known, "repeated")
        entry = HistoryEntry(
            notification=failed(task_id, "it could not be read", _now_ms()), message_id=message.message_id
        )
        result = Result(user_id, entry, dead_letter=(Reason.UNREADABLE, str(error)))
        self.results.keep(result)
        return await self._deliver(lease, result, "unreadable")

    def _kept(self, user_id: str, task_id: str, message: ReceivedMessage) -> Result | None:
        known = self.results.get(user_id, task_id)
        if known is None or is_overruled(known.entry, message):
            return None
        # A dead letter that is still to be sent is this message's own; of another one, the history may know better.
        is_pending = known.dead_letter is not None and known.entry.message_id != message.message_id
        return None if is_pending else known

    async def _find(self, user_id: str, task_id: str, message: ReceivedMessage) -> Result | None:
        if (known := self._kept(user_id, task_id, message)) is not None:
            return known
        entry = await self.record.find(user_id, task_id)
        return None if entry is None or is_overruled(entry, message) else Result(user_id, entry, stored=True)

    async def _conflict(self, delivery: Delivery) -> Verdict:
        logger.warning("an Idempotency-Key was used for two bodies", extra={"action": "conflict"})
        task, message = delivery.task, delivery.message
        entry = HistoryEntry(notification=failed(task.task_id, CONFLICT, _now_ms()))
        # Beside the entry of the first body, which stays.
        result = Result(task.user_id, entry, field=_conflict_field(task.task_id, message))
        return await self._deliver(delivery.lease, self.results.get(*result.key) or result, "conflict")

    async def _deliver(self, lease: Lease, result: Result, outcome: str) -> Verdict:
        message = lease.message
        lease.conclude()
        # What the history alone knows of a redelivered task was delivered, and counted, by an earlier delivery.
        is_first = message.receive_count == 1 or self.results.get(*result.key) is result
        try:
            if result.dead_letter is not None:
                await self._send_dead_letter(lease, *result.dead_letter, lambda: _sent(result))
            await self.teller.deliver(result, on_unstored=lease.give_up_slot)
        except asyncio.CancelledError:
            if result.dead_letter is None:
                await self.record.store_last(result)
            raise
        if is_first and result.published_at is not None:
            END_TO_END_SECONDS.observe(max(0.0, result.published_at - message.sent_ms / 1000), exemplar())
        self.results.conclude(message.message_id)
        if self.record.is_trim_due():
            self.background.spawn("trim", self._trim(result.user_id))
        return Done(outcome)

    async def _trim(self, user_id: str) -> None:
        try:
            await self.record.trim(user_id)
        except Exception:  # no reason to stop the service
            logger.exception("a history could not be trimmed", extra={"action": "record"})

    async def give_up(self, lease: Lease, reason: Reason, detail: str) -> Verdict:
        """Conclude a message at its last delivery: by the task's result where there is one, else as failed.

        An error of the processor itself may have led here, so that whatever can be left out may fail.

        :raises Exception: when it could not be concluded.
        """
        message = lease.message
        task_id, user_id, data = task_id_of(message.attributes, message.message_id), message.group_id, ""
        with suppress(Exception):
            task, fields = parse_task(message.body, dict(message.attributes), message.message_id)
            task_id, user_id, data = task.task_id, task.user_id, fields["data"]
        if user_id is None:
            await self._send_dead_letter(lease, reason, detail, lambda: self.results.conclude(message.message_id))
            return Done("unreadable")
        result = self.results.get(user_id, _conflict_field(task_id, message))
        if result is None:
            with suppress(Exception):
                result = await self._find(user_id, task_id, message)
        if result is None:
            notification = failed(task_id, data[: MAX_BYTES + 1], _now_ms())
            entry = HistoryEntry(notification=notification, message_id=message.message_id)
            result = Result(user_id, entry, dead_letter=(reason, detail))
            self.results.keep(result)
        try:
            return await self._deliver(lease, result, result.entry.notification.status.value)
        except Transient:
            if result.dead_letter is not None:  # SQS moves the message itself, without the reason
                await self.teller.deliver(result, on_unstored=lease.give_up_slot)
            raise

    async def _send_dead_letter(self, lease: Lease, reason: Reason, detail: str, on_sent: Callable[[], None]) -> None:
        """Send the message to the dead-letter queue. Without it the message waits, and leaves its slot to others.

        :raises Transient: when it was not sent within `DEAD_LETTER_SECONDS`.
        """
        lease.conclude()
        lease.dead_letter_reason = reason.value
        gives_up_at, longest = time.monotonic() + DEAD_LETTER_SECONDS, 1.0
        while True:
            try:
                return await self._try_dead_letter(lease.message, reason, detail, on_sent)
            except Transient as error:
                if time.monotonic() >= gives_up_at:
                    raise
                logger.warning("a dead letter could not be sent yet: %s", error, extra={"action": "dead-letter"})
            lease.give_up_slot()
            await asyncio.sleep(random.uniform(longest / 2, longest))
            longest = min(DEAD_LETTER_PAUSE_CAP_SECONDS, longest * 2)

    async def _try_dead_letter(
        self, message: ReceivedMessage, reason: Reason, detail: str, on_sent: Callable[[], None]
    ) -> None:
        """Send it; where this is cut off, wait a moment for the outcome."""
        sending = self.background.spawn(
            "dead-letter", send_dead_letter(self.dead_letters, message, reason, detail, on_sent), may_fail=True
        )
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=CUT_OFF_SECONDS)
            raise


def _conflict_field(task_id: str, message: ReceivedMessage) -> str:
    return f"{task_id} {message.message_id}"


def _sent(result: Result) -> None:
    result.dead_letter = None


def _now_ms() -> int:
    return int(time.time() * 1000)
