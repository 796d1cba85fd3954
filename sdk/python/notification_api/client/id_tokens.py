"""The id token that every call carries, and a new one when it is refused."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from notification_api.client.errors import IdTokenError

TokenSource = str | Callable[[], str | Awaitable[str]]
"""An id token, or a function that returns a valid one. A plain function is called in a thread."""

SOURCE_SECONDS = 15.0


class IdTokens:
    """Keeps the id token until a service refuses it."""

    def __init__(self, source: TokenSource) -> None:
        """:raises ValueError: when the token is empty, as of an environment variable that is not set."""
        if isinstance(source, str) and not source.strip():
            raise ValueError("The id token is empty")
        self._source = source
        self._current = source.strip() if isinstance(source, str) else None  # a shell adds a line break
        self._lock = asyncio.Lock()

    @property
    def can_renew(self) -> bool:
        """Whether a refused token can be replaced by another one."""
        return not isinstance(self._source, str)

    async def get(self) -> str:
        """:raises IdTokenError: when the application's function fails."""
        return self._current or await self.renew(None)

    async def renew(self, refused: str | None) -> str:
        """Return another token than the refused one. Calls that are refused together ask for one new token.

        :raises IdTokenError: when the application's function fails.
        """
        async with self._lock:
            if self._current is None or (self._current == refused and self.can_renew):
                self._current = await self._ask()
            return self._current

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(SOURCE_SECONDS):
                token = await self._call()
        except TimeoutError:
            raise IdTokenError(f"The function for id tokens took longer than {SOURCE_SECONDS:g} s") from None
        except Exception as error:
            raise IdTokenError(f"The function for id tokens failed: {error!r}") from error
        if not isinstance(token, str) or not token.strip():
            raise IdTokenError(f"The function for id tokens returned {type(token).__name__}, not a token")
        return token.strip()

    async def _call(self) -> object:
        if isinstance(self._source, str):
            return self._source
        if inspect.iscoroutinefunction(self._source):
            return await self._source()
        returned = await asyncio.to_thread(self._source)
        return await returned if inspect.isawaitable(returned) else returned
