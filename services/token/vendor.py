"""Vending: one disposable token a user, cached until half its life, vended once for concurrent callers."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable

from cachetools import TLRUCache

from services.common.background import Background
from services.common.errors import PermanentError, Transient
from services.common.messages.user_topic import user_topic
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.gateway import DisposableToken, Momento
from services.token.metrics import CACHED, REFUSED, VENDED
from services.token.shared_tokens import SharedTokens
from services.token.vending_queue import LineTooLong, VendingQueue

logger = logging.getLogger(__name__)

MAX_CACHED_USERS = 50_000
"""About 1 kB each."""
VEND_SECONDS = 5.0
"""How long a user whose turn it was is tried for again, one turn an attempt."""
RETRY_BASE_SECONDS = 0.1
RETRY_CAP_SECONDS = 1.0


class TokenVendor:
    """Answers users' tokens from memory, from another replica, or from Momento."""

    def __init__(
        self,
        momento: Momento,
        shared: SharedTokens,
        line: VendingQueue,
        background: Background,
        *,
        valid_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._momento = momento
        self._shared = shared
        self._line = line
        self._background = background
        self._valid_seconds = valid_seconds
        self._clock = clock
        self._cached: TLRUCache[str, DisposableToken] = TLRUCache(
            MAX_CACHED_USERS, ttu=lambda _user, token, _now: self._fresh_until(token), timer=clock
        )
        self._under_way: dict[str, asyncio.Task[DisposableToken]] = {}

    async def token_for(self, user_id: str) -> DisposableToken:
        """Return a token with at least half of its life before it.

        :raises LineTooLong: when too many wait for Momento's vending quota.
        :raises Transient: when Momento vends none.
        """
        token = self._cached.get(user_id)
        if token is not None:
            CACHED.labels("memory").inc()
            return token
        task = self._under_way.get(user_id)
        if task is None:
            task = self._background.spawn("vending", self._fetch(user_id), may_fail=True)
            self._under_way[user_id] = task
            task.add_done_callback(lambda _task: self._under_way.pop(user_id, None))
        # A caller that gives up leaves the others their token.
        return await asyncio.shield(task)

    async def _fetch(self, user_id: str) -> DisposableToken:
        token = await self._shared.find(user_id)
        if token is not None and self._fresh_until(token) > self._clock():
            CACHED.labels("shared").inc()
        else:
            token = await self._vend(user_id)
        self._cached[user_id] = token
        return token

    async def _vend(self, user_id: str) -> DisposableToken:
        try:
            token = await self._in_turn(user_id)
        except (Transient, PermanentError) as error:
            REFUSED.labels("line" if isinstance(error, LineTooLong) else "momento").inc()
            raise
        VENDED.inc()
        logger.info("token vended", extra={"action": "vend", "expires_at": token.expires_at})
        await self._shared.put(user_id, token, ttl_seconds=max(1.0, self._fresh_until(token) - self._clock()))
        return token

    async def _in_turn(self, user_id: str) -> DisposableToken:
        """Every attempt takes a turn: retries beside the line would exceed the quota just when it is used up.

        The user keeps the place, but lets others go during the pauses.
        """
        tried_until, longest_pause = float("inf"), RETRY_BASE_SECONDS
        while True:
            try:
                async with self._line.turn(user_id):
                    tried_until = min(tried_until, time.monotonic() + VEND_SECONDS)
                    return await self._momento.vend_subscriber_token(
                        user_topic(user_id), valid_for_seconds=self._valid_seconds, token_id=_token_id(user_id)
                    )
            except MomentoUnavailable:
                longest_pause = min(RETRY_CAP_SECONDS, 2 * longest_pause)
                pause = random.uniform(0, longest_pause)
                if time.monotonic() + pause > tried_until:
                    raise
            await asyncio.sleep(pause)

    def _fresh_until(self, token: DisposableToken) -> float:
        """Epoch seconds at which half of the token's life is over."""
        return token.expires_at - self._valid_seconds / 2


def _token_id(user_id: str) -> str:
    """Say whose token it is in at most 64 characters, which is what Momento takes."""
    return user_id if len(user_id) <= 64 else hashlib.sha256(user_id.encode()).hexdigest()
