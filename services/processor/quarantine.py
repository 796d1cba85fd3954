"""Quarantine: tasks that may have killed their process run one at a time, so that the next death has one suspect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Quarantine:
    """One suspect at a time; those that died in here before come last, since the others are more likely innocent."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._taken = False
        self._first_in_line = 0

    @asynccontextmanager
    async def alone(self, *, died_here: bool) -> AsyncIterator[None]:
        """Wait for the turn, and keep other suspects waiting for the block."""
        await self._take(died_here=died_here)
        try:
            yield
        finally:
            self._taken = False
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, *, died_here: bool) -> None:
        async with self._changed:
            self._first_in_line += not died_here
            try:
                await self._changed.wait_for(lambda: not self._taken and not (died_here and self._first_in_line))
                self._taken = True
            finally:
                self._first_in_line -= not died_here
                self._changed.notify_all()
