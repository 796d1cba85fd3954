"""The public keys for id tokens: refreshed in the background, kept when a fetch fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from jwt import PyJWK

from notification_api import TransientError
from services.common.auth.jwks import KeySetError, valid_keys
from services.common.refresh import refresh_periodically

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 3600.0
PENALTY_SECONDS = 10.0
"""Between two fetches for unknown key ids. The same as in awslabs/aws-jwt-verify, like the timeouts."""
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=3.0, sock_connect=1.5, sock_read=1.5)
MAX_BODY_BYTES = 64 * 1024  # Cognito's set of two keys is about 1 KB


class UnknownKey(LookupError):
    """The key set does not contain the key: the token is from another issuer or too old."""


class KeySetUnavailable(TransientError):
    """The key set could not be fetched."""

    retry_after_seconds = PENALTY_SECONDS
    public_detail = "Id tokens cannot be verified at the moment. Try again in a few seconds."


class KeySet:
    """A cached JWKS. The owner has to run `run()`.

    For a key id that is not cached `key()` fetches the key set, so rotated keys are found with the first token that
    uses them.
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
        self._error: str | None = "it has not been fetched yet"

    async def run(self) -> None:
        """Fetch the keys now and every hour, until cancelled. Does not raise when a fetch fails."""
        await refresh_periodically(self._refresh, every_seconds=REFRESH_SECONDS, sleep=self._sleep)

    def readiness_problem(self) -> str | None:
        """Return None if there are keys, else the reason."""
        if self._keys:
            return None
        return f"No signing keys from {self._url}: {self._error or 'they are being fetched'}."

    async def key(self, kid: str) -> PyJWK:
        """Return the RSA public key with the id `kid`, after a fetch if it is not cached.

        :raises UnknownKey: when the key set does not contain it.
        :raises KeySetUnavailable: when the key set cannot be fetched.
        """
        if kid not in self._keys:
            await self._fetch_unless_recent()
        try:
            return self._keys[kid]
        except KeyError:
            if self._error is not None:
                raise KeySetUnavailable(f"The key set {self._url} cannot be read: {self._error}") from None
            raise UnknownKey("The key set does not contain the key") from None

    def contains(self, key: PyJWK) -> bool:
        """Return whether `key` is in the current set. An unchanged key stays the same object."""
        return self._keys.get(key.key_id or "") is key

    async def _fetch_unless_recent(self) -> None:
        async with self._fetching:
            # A caller that waited for the lock uses the result of the fetch before.
            if self._clock() - self._fetched_at >= PENALTY_SECONDS:
                await self._fetch()

    async def _refresh(self) -> bool:
        async with self._fetching:
            await self._fetch()
            return self._error is None

    async def _fetch(self) -> None:
        self._fetched_at = self._clock()
        # Set before the fetch, for the case that it is cancelled.
        self._error = "the fetch was interrupted"
        try:
            self._keys = _reuse_equal(self._keys, valid_keys(await self._read()))
        except (aiohttp.ClientError, TimeoutError, OSError, KeySetError) as error:
            self._error = _reason(error)
            logger.warning(
                "the signing keys could not be fetched",
                extra={"action": "key_set", "url": self._url, "error": self._error, "kept": len(self._keys)},
            )
        else:
            self._error = None
            logger.debug("signing keys fetched", extra={"action": "key_set", "kids": list(self._keys)})

    async def _read(self) -> bytes:
        async with self._session.get(
            self._url,
            allow_redirects=False,  # only the configured URL is trusted
            timeout=FETCH_TIMEOUT,
            headers={"Accept": "application/json"},
        ) as response:
            if response.status != 200:
                raise KeySetError(f"it responded {response.status}")
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise KeySetError(f"its response is larger than {MAX_BODY_BYTES} bytes")
            return body


def _reuse_equal(current: Mapping[str, PyJWK], fetched: Mapping[str, PyJWK]) -> dict[str, PyJWK]:
    """Return the fetched keys, with the current object in place of each equal key.

    The cache of verified tokens compares keys by identity. Otherwise every fetch would empty it, and any client can
    cause a fetch with an unknown key id.
    """
    return {
        kid: current[kid] if kid in current and _is_equal(current[kid], key) else key for kid, key in fetched.items()
    }


def _is_equal(one: PyJWK, other: PyJWK) -> bool:
    same_algorithm = one.algorithm_name == other.algorithm_name
    return same_algorithm and bool(one.key.public_numbers() == other.key.public_numbers())


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not respond in time"
    return str(error)[:200] or type(error).__name__
