"""Idempotency-Keys: a key that is used again with another body is refused. Its task would be taken for a duplicate.

Bodies are compared byte by byte. Each replica only knows the tasks that it has sent; the processor compares the bodies
of all tasks with the same id.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cachetools import TTLCache
from multidict import MultiMapping

from services.common.messages.task_message import TaskMessage
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.ingest.sending import Sending

HEADER = "Idempotency-Key"
RETENTION_SECONDS = 24 * 3_600
MAX_KEYS = 50_000
"""About 360 bytes each, so 18 MB. With more keys in a day the oldest are dropped."""


class KeyReusedError(Problem):
    """The key was used with another body."""

    def __init__(self) -> None:
        super().__init__(
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            f"This {HEADER} was used with another body within the last 24 hours. Send the same body again, byte by"
            " byte, or use a new key for this one.",
        )


def idempotency_key(headers: MultiMapping[str]) -> str | None:
    """Return the request's key, if there is one.

    :raises Problem: 400 for several keys.
    """
    keys = headers.getall(HEADER, [])
    if len(keys) > 1:
        raise Problem(ProblemType.INVALID_IDEMPOTENCY_KEY, f"The request has {len(keys)} {HEADER} headers. Send one.")
    return keys[0] if keys else None


class IdempotencyKeys:
    """The body's digest of each task that was sent with a key."""

    def __init__(self, *, max_keys: int = MAX_KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._sent: TTLCache[bytes, bytes] = TTLCache(max_keys, ttl=RETENTION_SECONDS, timer=clock)
        self._in_flight: dict[bytes, tuple[bytes, int]] = {}
        """The digest, and the number of requests that send it now."""

    @contextmanager
    def reserved(self, task: TaskMessage, sending: Sending) -> Iterator[None]:
        """Reserve the task's id for its body during the block; keep it afterwards if the message may be on the queue.

        Otherwise the client may send a corrected body with the same key.

        :raises KeyReusedError: when the id belongs to another body.
        """
        task_id = uuid.UUID(task.task_id).bytes
        digest = hashlib.sha256(task.payload_bytes()).digest()
        known, count = self._in_flight.get(task_id, (self._sent.get(task_id, digest), 0))
        if known != digest:
            raise KeyReusedError
        self._in_flight[task_id] = digest, count + 1
        try:
            yield
        finally:
            self._end(task_id)
            if sending.may_be_queued:
                self._sent[task_id] = digest

    def _end(self, task_id: bytes) -> None:
        digest, count = self._in_flight.pop(task_id)
        if count > 1:
            self._in_flight[task_id] = digest, count - 1
