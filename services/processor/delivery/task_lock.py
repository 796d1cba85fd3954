"""The task lock: of two deliveries of one task at the same time one runs and the other waits.

Only redelivered tasks and those with an Idempotency-Key are locked, so the common path costs nothing.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.common.background import Background
from services.common.momento.gateway import Momento
from services.processor.cache_guard import CacheGuard
from services.processor.delivery.delivery import Delivery

_RETRY_SECONDS = (0.2, 1.0)


class TaskLock:
    """Locks in the Momento cache, set if absent. They last as long as a lease and are renewed like one.

    :param momento: None if the history is switched off; nothing is locked then.
    """

    def __init__(
        self,
        momento: Momento | None,
        guard: CacheGuard,
        background: Background,
        *,
        ttl_seconds: float,
    ) -> None:
        self._momento = momento
        self._guard = guard
        self._background = background
        self._ttl_seconds = ttl_seconds

    @asynccontextmanager
    async def hold(self, delivery: Delivery) -> AsyncIterator[None]:
        """Wait for the lock of the delivery's task, and hold it for the block; a new task needs none."""
        if self._momento is None or delivery.is_new:
            yield
            return
        key = f"task-lock:{delivery.task.user_id} {delivery.task.task_id}"
        lock = _Lock(key, secrets.token_hex(8).encode(), self._ttl_seconds, self._momento)
        await self._acquire(lock)
        try:
            async with self._background.running("task-lock", self._renew(lock)):
                yield
        finally:  # after the last renewal, which would set it again
            await self._guard.call("lock", lock.release, None)

    async def _acquire(self, lock: "_Lock") -> None:
        # If the cache is down the task runs without a lock. The wait ends with the lease at the latest.
        while not await self._guard.call("lock", lock.acquire, True):  # noqa: ASYNC110, FBT003
            await asyncio.sleep(random.uniform(*_RETRY_SECONDS))

    async def _renew(self, lock: "_Lock") -> None:
        while True:
            await asyncio.sleep(self._ttl_seconds / 3)
            await self._guard.call("lock", lock.renew, None)


@dataclass(frozen=True, slots=True)
class _Lock:
    """The lock of one delivery; `token` distinguishes it from that of any other."""

    key: str
    token: bytes
    ttl_seconds: float
    momento: Momento

    async def acquire(self) -> bool:
        if await self.momento.set_if_absent(self.key, self.token, ttl_seconds=self.ttl_seconds):
            return True
        # If the answer to an earlier try was lost, the lock that exists is this one.
        return await self._is_ours()

    async def renew(self) -> None:
        """Extend it, unless it has expired and another delivery has it now."""
        if await self.acquire():
            await self.momento.set(self.key, self.token, ttl_seconds=self.ttl_seconds)

    async def release(self) -> None:
        """Remove it if it is still this delivery's."""
        if await self._is_ours():
            await self.momento.delete(self.key)

    async def _is_ours(self) -> bool:
        return await self.momento.get(self.key) == self.token
