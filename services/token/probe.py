"""Finds out whether Momento accepts the API key, also without requests."""

import asyncio
import contextlib

from notification_api import PermanentError, TransientError
from services.common.momento.gateway import Momento

PROBE_KEY = "notification-api-probe"
PROBE_SECONDS = 5.0
DEADLINE_SECONDS = 3.0


async def probe(momento: Momento) -> None:
    """Read a missing item every few seconds until cancelled. The result is in `momento.faults`."""
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        if momento.readiness_problem() is None:
            with contextlib.suppress(TransientError, PermanentError):
                await momento.get(PROBE_KEY, deadline_seconds=DEADLINE_SECONDS)
