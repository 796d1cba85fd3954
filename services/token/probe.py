"""Whether Momento takes the API key, also while no user asks for anything."""

import asyncio
import contextlib

from services.common.errors import PermanentError, Transient
from services.common.momento.gateway import Momento

PROBE_KEY = "notification-api-probe"
PROBE_SECONDS = 5.0
DEADLINE_SECONDS = 3.0


async def probe(momento: Momento) -> None:
    """Read an item that does not exist, every few seconds; until cancelled. `momento.faults` says what came of it."""
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        if momento.readiness_problem() is None:
            with contextlib.suppress(Transient, PermanentError):
                await momento.get(PROBE_KEY, deadline_seconds=DEADLINE_SECONDS)
