"""A subscriber's stream: a bounded queue of events, in their wire form, between a topic and a front."""

import asyncio
from collections.abc import AsyncGenerator

from grpc import StatusCode
from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.errors import CallError, StreamAborted
from local.momento.settings import Settings

HEARTBEAT: bytes = pb._SubscriptionItem(heartbeat=pb._Heartbeat()).SerializeToString()


def discontinuity_event(last_sequence: int, new_sequence: int, page: int) -> bytes:
    """Encode that the messages after `last_sequence` up to `new_sequence` are missing."""
    return pb._SubscriptionItem(
        discontinuity=pb._Discontinuity(
            last_topic_sequence=last_sequence, new_topic_sequence=new_sequence, new_sequence_page=page
        )
    ).SerializeToString()


def item_event(sequence: int, page: int, value: pb._TopicValue, publisher_id: str) -> bytes:
    """Encode a message."""
    return pb._SubscriptionItem(
        item=pb._TopicItem(topic_sequence_number=sequence, sequence_page=page, value=value, publisher_id=publisher_id)
    ).SerializeToString()


class Subscription:
    """The topic adds events; the front reads them with `batches`.

    A subscriber that does not keep up misses messages and receives a discontinuity, as the real service does: "We don't
    terminate your subscription in that case" (cachepubsub.proto). The setting `end_slow_streams` ends the stream
    instead.
    """

    __slots__ = ("_closed", "_end", "_last_sequence", "_page", "_pending", "_settings", "_skipped_to", "_wake")

    def __init__(self, settings: Settings, page: int, last_sequence: int) -> None:
        self._settings = settings
        self._page = page
        self._last_sequence = last_sequence
        self._skipped_to: int | None = None
        self._pending: list[bytes] = [HEARTBEAT]
        self._wake = asyncio.Event()
        self._wake.set()
        self._closed = False
        self._end: CallError | None = None

    def offer(self, sequence: int, event: bytes) -> bool:
        """Deliver an item; return False if this subscriber misses it."""
        if self._closed or self._settings.streams_frozen:
            return False
        if len(self._pending) >= self._settings.stream_buffer_messages:
            self._fall_behind(sequence)
            return False
        self._send_discontinuity()
        self._last_sequence = sequence
        self._push(event)
        return True

    def skip(self, sequence: int) -> None:
        """Note an item that is not delivered; a discontinuity precedes the next event."""
        self._skipped_to = sequence

    def heartbeat(self) -> None:
        """Send a heartbeat, unless events are waiting: heartbeats never accumulate."""
        if self._pending or self._closed or self._settings.streams_frozen:
            return
        self._send_discontinuity()
        self._push(HEARTBEAT)

    def discontinue(self, last_sequence: int, new_sequence: int) -> None:
        """Send a discontinuity for the messages between."""
        self._last_sequence = new_sequence
        self._push(discontinuity_event(last_sequence, new_sequence, self._page))

    def end(self, error: CallError | None = None) -> None:
        """End the stream, cleanly or with `error`. Waiting events are written first, unless the stream is aborted."""
        if self._closed:
            return
        self._closed, self._end = True, error
        if isinstance(error, StreamAborted):
            self._pending = []
        self._wake.set()

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """Yield all waiting events at a time; raises the `CallError` that the stream ends with."""
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

    def _send_discontinuity(self) -> None:
        if self._skipped_to is not None:
            skipped_to, self._skipped_to = self._skipped_to, None
            self.discontinue(self._last_sequence, skipped_to)

    def _fall_behind(self, sequence: int) -> None:
        self.skip(sequence)
        if self._settings.end_slow_streams:
            self._pending = []
            # No source documents the status of the real service.
            self.end(CallError(StatusCode.RESOURCE_EXHAUSTED, "The subscriber does not keep up"))
