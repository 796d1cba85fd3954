"""Child processes that do not block the event loop while they start and stop."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes.child import START_SECONDS, Child

STOP_TIMEOUT_SECONDS = 60.0
"""More than the grace period of a processor."""


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Child]:
    """Run `command` for the duration of the context, without the settings of the shell."""
    child = Child(command, environment, log)
    child.start()
    try:
        yield child
    finally:
        await asyncio.to_thread(child.stop, STOP_TIMEOUT_SECONDS)


async def wait_until_ready(child: Child, url: str, timeout_seconds: float = START_SECONDS) -> None:
    """Wait until `url` answers 200.

    :raises AssertionError: when the process ends or does not answer in time.
    """
    await asyncio.to_thread(child.wait_until_ready, url, timeout_seconds)
