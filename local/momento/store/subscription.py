"""One subscriber's stream: a bounded queue of events between a topic and a front."""

import asyncio
from collections.abc import AsyncGenerator

from grpc import StatusCode

from local.momento.errors import CallError, StreamAborted
from local.momento.settings import Settings
from local.momento.store import events


class Subscription:
    """Filled by the topic, emptied by the front through `batches`.

    A subscriber that does not keep up misses messages and is told so by a discontinuity, as the real service does:
    "We don't terminate your subscription in that case" (cachepubsub.proto). The setting `end_slow_streams` ends the
    stream instead.
    """

    __slots__ = ("_closed", "_end", "_last_sequence", "_page", "_pending", "_settings", "_skipped_to", "_wake")

    def __init__(self, settings: Settings, page: int, last_sequence: int) -> None:
        self._settings = settings
        self._page = page
        self._last_sequence = last_sequence
        self._skipped_to: int | None = None
        self._pending: list[bytes] = [events.HEARTBEAT]
        self._wake = asyncio.Event()
        self._wake.set()
        self._closed = False
        self._end: CallError | None = None

    def offer(self, sequence: int, event: bytes) -> bool:
        """Deliver an item; False if it is lost to this subscriber."""
        if self._closed or self._settings.streams_frozen:
            return False
        if len(self._pending) >= self._settings.stream_buffer_messages:
            self._fall_behind(sequence)
            return False
        self._tell_gap()
        self._last_sequence = sequence
        self._push(event)
        return True

    def skip(self, sequence: int) -> None:
        """An item that is not delivered; the subscriber is told before the next thing it gets."""
        self._skipped_to = sequence

    def heartbeat(self) -> None:
        """Sent only to a stream that has written all it had: heartbeats never pile up."""
        if self._pending or self._closed or self._settings.streams_frozen:
            return
        self._tell_gap()
        self._push(events.HEARTBEAT)

    def discontinue(self, last_sequence: int, new_sequence: int) -> None:
        """Tell the subscriber that it missed what lies between."""
        self._last_sequence = new_sequence
        self._push(events.discontinuity(last_sequence, new_sequence, self._page))

    def end(self, error: CallError | None = None) -> None:
        """End the stream: cleanly, or with `error`. What is still waiting is written first, unless it breaks off."""
        if self._closed:
            return
        self._closed, self._end = True, error
        if isinstance(error, StreamAborted):
            self._pending = []
        self._wake.set()

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """All that is waiting, time after time; raises the `CallError` that the stream ends with."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._pending = self._pending, []
            if batch:
                yield batch
            if self._closed and not self._pending:
                break
        if self._end is not None:
            raise self._end

    def _push(self, event: bytes) -> None:
        self._pending.append(event)
        self._wake.set()

    def _tell_gap(self) -> None:
        if self._skipped_to is not None:
            skipped_to, self._skipped_to = self._skipped_to, None
            self.discontinue(self._last_sequence, skipped_to)

    def _fall_behind(self, sequence: int) -> None:
        self.skip(sequence)
        if self._settings.end_slow_streams:
            self._pending = []
            # No source says how the real service would call it.
            self.end(CallError(StatusCode.RESOURCE_EXHAUSTED, "The subscriber does not keep up"))
