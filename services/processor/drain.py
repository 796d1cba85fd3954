"""Waiting for tasks during a drain."""

import asyncio
import time
from collections.abc import Set as AbstractSet


async def wait_until_done(tasks: AbstractSet[asyncio.Task[None]], seconds: float, force_stop: asyncio.Event) -> None:
    """Wait until `tasks`, a set that tasks leave when they end, is empty, time is up, or `force_stop` is set."""
    ends_at = time.monotonic() + seconds
    forced = asyncio.get_running_loop().create_task(force_stop.wait(), name="force-stop")
    try:
        while tasks and not forced.done() and (left := ends_at - time.monotonic()) > 0:
            await asyncio.wait({*tasks, forced}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forced.cancel()
