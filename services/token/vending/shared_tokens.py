"""Tokens that replicas share through the Momento cache, so that a request to another replica needs no vending.

They are encrypted with a key derived from the Momento API key, which every replica has. Access to the cache without the
API key does not reveal them.
"""

import logging
import math
import os
import time
from collections.abc import Callable

import orjson
from cachetools import TTLCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from notification_api import PermanentError, TransientError
from services.common.momento.gateway import DisposableToken, Momento
from services.token.metrics import SHARED_UNAVAILABLE

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 1.0
"""Short, since a user waits and a token can be vended instead."""
MISS_SECONDS = 2.0
"""How long a user without a token is not looked up again, so that retries after a 503 cost no cache calls."""
MAX_MISSES = 10_000
BURST_SECONDS = 5.0
_NONCE_BYTES = 12
_INFO = b"notification-api shared disposable tokens v1"


class SharedTokens:
    """Reads and writes shared tokens. While the cache is unavailable it finds none.

    :param lookups_per_second: beyond this rate it finds none, since notifications need the cache's quota.
    """

    def __init__(
        self, momento: Momento, lookups_per_second: float = math.inf, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._momento = momento
        self._cipher_of: tuple[str, AESGCM] | None = None
        self._interval = 1 / lookups_per_second
        self._clock = clock
        self._burst_seconds = max(BURST_SECONDS, self._interval)
        self._used_until = float("-inf")
        self._missed: TTLCache[str, None] = TTLCache(MAX_MISSES, ttl=MISS_SECONDS, timer=clock)

    async def find(self, user_id: str) -> DisposableToken | None:
        """Return the user's token if another replica has stored one and a lookup is permitted now."""
        if user_id in self._missed or not self._may_look_up():
            return None
        token = await self._look_up(user_id)
        if token is None:
            self._missed[user_id] = None
        return token

    def _may_look_up(self) -> bool:
        now = self._clock()
        used_until = max(now, self._used_until) + self._interval
        if used_until - now > self._burst_seconds:
            return False
        self._used_until = used_until
        return True

    async def _look_up(self, user_id: str) -> DisposableToken | None:
        try:
            encrypted = await self._momento.get(_name(user_id), deadline_seconds=DEADLINE_SECONDS)
        except (TransientError, PermanentError) as error:
            _unavailable("get", error)
            return None
        return None if encrypted is None else self._decrypt(user_id, encrypted)

    async def put(self, user_id: str, token: DisposableToken, *, ttl_seconds: float) -> None:
        """Share `token` with other replicas for `ttl_seconds`."""
        self._missed.pop(user_id, None)
        try:
            encrypted = self._encrypt(user_id, token)
            await self._momento.set(
                _name(user_id), encrypted, ttl_seconds=ttl_seconds, deadline_seconds=DEADLINE_SECONDS
            )
        except (TransientError, PermanentError) as error:
            _unavailable("set", error)

    def _encrypt(self, user_id: str, token: DisposableToken) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        plain = orjson.dumps([token.auth_token, token.endpoint, token.expires_at])
        return nonce + self._cipher().encrypt(nonce, plain, user_id.encode())

    def _decrypt(self, user_id: str, encrypted: bytes) -> DisposableToken | None:
        try:
            plain = self._cipher().decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], user_id.encode())
        except (InvalidTag, ValueError):
            return None  # encrypted with an earlier API key, or not by this service
        return DisposableToken(*orjson.loads(plain))

    def _cipher(self) -> AESGCM:
        api_key = self._momento.api_key()
        if self._cipher_of is None or self._cipher_of[0] != api_key:
            derived = HKDF(SHA256(), length=32, salt=None, info=_INFO).derive(api_key.encode())
            self._cipher_of = (api_key, AESGCM(derived))
        return self._cipher_of[1]


def _unavailable(operation: str, error: Exception) -> None:
    SHARED_UNAVAILABLE.labels(operation).inc()
    logger.warning("tokens cannot be shared: %s", error, extra={"action": "shared-token", "operation": operation})


def _name(user_id: str) -> str:
    return f"token:{user_id}"
