"""Vends disposable tokens: one per user, cached until half of its validity, vended once for concurrent requests."""

import asyncio
import hashlib
import itertools
import logging
import time
from collections.abc import Callable

from cachetools import TLRUCache

from notification_api import PermanentError, TransientError
from services.common.background import Background
from services.common.backoff import backoff_seconds
from services.common.messages.notification import user_topic
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.gateway import DisposableToken, Momento
from services.token.metrics import CACHED, REFUSED, VENDED
from services.token.vending.shared_tokens import SharedTokens
from services.token.vending.vending_queue import VendingQueue, VendingQuotaExceeded

logger = logging.getLogger(__name__)

MAX_CACHED_USERS = 50_000
"""About 1 kB per user."""
VEND_SECONDS = 5.0
"""How long vending is retried after the first attempt; each attempt is queued."""
RETRY_BASE_SECONDS = 0.2
RETRY_CAP_SECONDS = 1.0


class TokenVendor:
    """Returns users' tokens from memory, from another replica, or from Momento."""

    def __init__(
        self,
        momento: Momento,
        shared: SharedTokens,
        queue: VendingQueue,
        background: Background,
        *,
        valid_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._momento = momento
        self._shared = shared
        self._queue = queue
        self._background = background
        self._valid_seconds = valid_seconds
        self._clock = clock
        self._cached: TLRUCache[str, DisposableToken] = TLRUCache(
            MAX_CACHED_USERS, ttu=lambda _user, token, _now: self._fresh_until(token), timer=clock
        )
        self._in_progress: dict[str, asyncio.Task[DisposableToken]] = {}

    async def token_for(self, user_id: str) -> DisposableToken:
        """Return a token that is valid for at least half of its time.

        :raises VendingQuotaExceeded: when too many users wait for Momento's vending quota.
        :raises TransientError: when Momento cannot vend one now.
        """
        token = self._cached.get(user_id)
        if token is not None:
            CACHED.labels("memory").inc()
            return token
        task = self._in_progress.get(user_id)
        if task is None:
            task = self._background.spawn("vending", self._fetch(user_id), may_fail=True)
            self._in_progress[user_id] = task
            task.add_done_callback(lambda _task: self._in_progress.pop(user_id, None))
        # Shielded, since other requests of the user share the task.
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
            token = await self._vend_queued(user_id)
        except (TransientError, PermanentError) as error:
            REFUSED.labels("vending_quota" if isinstance(error, VendingQuotaExceeded) else "momento").inc()
            raise
        VENDED.inc()
        logger.info("token vended", extra={"action": "vend", "expires_at": token.expires_at})
        await self._shared.put(user_id, token, ttl_seconds=max(1.0, self._fresh_until(token) - self._clock()))
        return token

    async def _vend_queued(self, user_id: str) -> DisposableToken:
        """Vend with retries. Each attempt is queued, since retries outside the queue would exceed the quota.

        The user keeps the place in the queue, and other users are served during the pauses.
        """
        retry_until = float("inf")
        for attempt in itertools.count(1):
            try:
                async with self._queue.turn(user_id):
                    retry_until = min(retry_until, time.monotonic() + VEND_SECONDS)
                    return await self._momento.vend_subscriber_token(
                        user_topic(user_id), valid_for_seconds=self._valid_seconds, token_id=_token_id(user_id)
                    )
            except MomentoUnavailable:
                pause = backoff_seconds(
                    attempt, base_seconds=RETRY_BASE_SECONDS, cap_seconds=RETRY_CAP_SECONDS, least_share=0
                )
                if time.monotonic() + pause > retry_until:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _fresh_until(self, token: DisposableToken) -> float:
        """Return the epoch seconds at which half of the token's validity is over."""
        return token.expires_at - self._valid_seconds / 2


def _token_id(user_id: str) -> str:
    """Return the user's id in at most 64 characters, Momento's limit."""
    return user_id if len(user_id) <= 64 else hashlib.sha256(user_id.encode()).hexdigest()
