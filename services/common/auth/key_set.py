"""The public keys that id tokens are signed with: fetched ahead of need, kept when a fetch fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from jwt import PyJWK

from services.common.auth.jwks import KeySetError, usable_keys
from services.common.errors import Transient
from services.common.refresh import refresh_periodically

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 3600.0
# One fetch for unknown key ids in this time; it and the timeouts are those of awslabs/aws-jwt-verify.
PENALTY_SECONDS = 10.0
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=3.0, sock_connect=1.5, sock_read=1.5)
MAX_BODY_BYTES = 64 * 1024  # Cognito's set of two keys is about 1 KB


class UnknownKey(LookupError):
    """The key set was read and has no such key: the token is not from this issuer, or is too old."""


class KeySetUnavailable(Transient):
    """The key could not be looked for, because the key set could not be fetched."""

    retry_after_seconds = PENALTY_SECONDS
    public_detail = "Sign-ins cannot be checked at the moment. Try again in a few seconds."


class KeySet:
    """A cached JWKS.

    Somebody has to run `run()`; until its first success, and for key ids that are not in the cache,
    `key()` fetches by itself, so a rotation of the keys is noticed with the first token that needs it.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._sleep = sleep
        self._keys: dict[str, PyJWK] = {}
        self._fetching = asyncio.Lock()
        self._fetched_at = float("-inf")
        self._error: str | None = "it was not fetched yet"

    async def run(self) -> None:
        """Load the keys, then refresh them every hour, until cancelled. Never fails for the server's sake."""
        await refresh_periodically(self._refresh, every_seconds=REFRESH_SECONDS, sleep=self._sleep)

    def readiness_problem(self) -> str | None:
        """None when there are keys, else a sentence that says why not."""
        if self._keys:
            return None
        return f"No signing keys from {self._url}: {self._error or 'they are being fetched'}."

    async def key(self, kid: str) -> PyJWK:
        """The RSA public key of that id, with its algorithm. At once, or after one fetch.

        Raises UnknownKey when the key set has no such key, KeySetUnavailable when it cannot be read.
        """
        if kid not in self._keys:
            await self._fetch_unless_recent()
        try:
            return self._keys[kid]
        except KeyError:
            if self._error is not None:
                raise KeySetUnavailable(f"The key set {self._url} cannot be read: {self._error}") from None
            raise UnknownKey("The key set has no such key") from None

    def holds(self, key: PyJWK) -> bool:
        """Tell whether `key` is of the set as it was last read: a key that has not changed stays the same object."""
        return self._keys.get(key.key_id or "") is key

    async def _fetch_unless_recent(self) -> None:
        async with self._fetching:
            # Whoever waited for the lock has the answer of the fetch that held it.
            if self._clock() - self._fetched_at >= PENALTY_SECONDS:
                await self._fetch()

    async def _refresh(self) -> bool:
        async with self._fetching:
            await self._fetch()
            return self._error is None

    async def _fetch(self) -> None:
        self._fetched_at = self._clock()
        # Said beforehand, so that it also holds for a fetch that is cancelled.
        self._error = "the fetch was interrupted"
        try:
            self._keys = _kept(self._keys, usable_keys(await self._read()))
        except (aiohttp.ClientError, TimeoutError, OSError, KeySetError) as error:
            self._error = _sentence(error)
            logger.warning(
                "Signing keys could not be fetched",
                extra={"action": "key_set", "url": self._url, "error": self._error, "kept": len(self._keys)},
            )
        else:
            self._error = None
            logger.debug("Signing keys fetched", extra={"action": "key_set", "kids": list(self._keys)})

    async def _read(self) -> bytes:
        async with self._session.get(
            self._url,
            allow_redirects=False,  # the address is a matter of configuration, not of the server's choice
            timeout=FETCH_TIMEOUT,
            headers={"Accept": "application/json"},
        ) as response:
            if response.status != 200:
                raise KeySetError(f"it answered {response.status}")
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise KeySetError(f"its answer is larger than {MAX_BODY_BYTES} bytes")
            return body


def _kept(known: Mapping[str, PyJWK], read: Mapping[str, PyJWK]) -> dict[str, PyJWK]:
    """Return `read`, with the known object in place of each equal key.

    Verified tokens are remembered by the identity of their key. Without this, every reading would forget all of them,
    and anybody can cause a reading with a made-up key id.
    """
    return {kid: known[kid] if kid in known and _is_equal(known[kid], key) else key for kid, key in read.items()}


def _is_equal(one: PyJWK, other: PyJWK) -> bool:
    same_algorithm = one.algorithm_name == other.algorithm_name
    return same_algorithm and bool(one.key.public_numbers() == other.key.public_numbers())


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(error)[:200] or type(error).__name__
