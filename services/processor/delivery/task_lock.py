"""Claims: of two copies of a task at the same time one runs and the other waits.

Only redelivered tasks and those with an Idempotency-Key claim, so the common path costs nothing.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.common.background import Background
from services.common.momento.gateway import Momento
from services.processor.notify.history import Record

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
    ) -> None:
        self._momento = momento
        self._record = record
        self._background = background
        self._ttl_seconds = ttl_seconds

    @asynccontextmanager
    async def held(self, user_id: str, task_id: str) -> AsyncIterator[None]:
        """Wait until the task is ours alone, and hold it for the block."""
        if self._momento is None:
            yield
            return
        claim = _Claim(f"claim:{user_id} {task_id}", secrets.token_hex(8).encode(), self._ttl_seconds, self._momento)
        await self._wait_for(claim)
        try:
            async with self._background.running("claim", self._keep(claim)):
                yield
        finally:  # after the last renewal, which would bring it back
            await self._record.guarded("claim", claim.let_go, None)

    async def _wait_for(self, claim: "_Claim") -> None:
        # Without the cache nobody is known to work on it. The wait ends with the lease at the latest.
        while not await self._record.guarded("claim", claim.take, True):  # noqa: ASYNC110, FBT003
            await asyncio.sleep(random.uniform(*_LOOK_AGAIN_SECONDS))

    async def _keep(self, claim: "_Claim") -> None:
        while True:
            await asyncio.sleep(self._ttl_seconds / 3)
            await self._record.guarded("claim", claim.renew, None)


@dataclass(frozen=True, slots=True)
class _Claim:
    """One delivery's claim; `token` tells it from the claim of any other."""

    key: str
    token: bytes
    ttl_seconds: float
    momento: Momento

    async def take(self) -> bool:
        if await self.momento.set_if_absent(self.key, self.token, ttl_seconds=self.ttl_seconds):
            return True
        # The answer to an earlier try may have been lost: then it is our own claim that is in the way.
        return await self._is_ours()

    async def renew(self) -> None:
        """Make it last, unless it has run out and is somebody else's by now."""
        if await self.take():
            await self.momento.set(self.key, self.token, ttl_seconds=self.ttl_seconds)

    async def let_go(self) -> None:
        """Remove it, if it is still ours."""
        if await self._is_ours():
            await self.momento.delete(self.key)

    async def _is_ours(self) -> bool:
        return await self.momento.get(self.key) == self.token
