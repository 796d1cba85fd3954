"""Claims: of two copies of a task at the same time one runs and the other waits.

Only redelivered tasks and those with an Idempotency-Key claim, so the common path costs nothing.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.common.background import Background
from services.common.momento import Momento
from services.processor.record import Record

_LOOK_AGAIN_SECONDS = (0.2, 1.0)


class Claims:
    """Set-if-absent claims in the Momento cache, as long as a lease and renewed as it is.

    :param momento: None where the record is switched off; every claim is then granted.
    """

    def __init__(
        self,
        momento: Momento | None,
        record: Record,
        background: Background,
        *,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._momento = momento
        self._record = record
        self._background = background
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._owner = secrets.token_hex(8).encode()

    @asynccontextmanager
    async def held(self, task_id: str) -> AsyncIterator[None]:
        """Wait until the task is ours alone, and hold it for the block."""
        if self._momento is None:
            yield
            return
        key = f"claim:{task_id}"
        await self._wait_for(key, self._momento)
        async with self._background.running("claim", self._keep(key, self._momento)):
            try:
                yield
            finally:
                await self._let_go(key, self._momento)

    async def _wait_for(self, key: str, momento: Momento) -> None:
        while not await self._record.guarded(  # noqa: ASYNC110 — the other holder is in another process
            "claim",
            lambda: momento.set_if_absent(key, self._owner, ttl_seconds=self._ttl_seconds),
            True,  # noqa: FBT003 — without the cache nobody is known to work on it
        ):
            await asyncio.sleep(random.uniform(*_LOOK_AGAIN_SECONDS))

    async def _keep(self, key: str, momento: Momento) -> None:
        while True:
            await asyncio.sleep(self._ttl_seconds / 3)
            await self._record.guarded(
                "claim", lambda: momento.set(key, self._owner, ttl_seconds=self._ttl_seconds), None
            )

    async def _let_go(self, key: str, momento: Momento) -> None:
        await self._record.guarded("claim", lambda: momento.delete(key), None)
