"""Whether an HTTP address answers 200; no HTTP library, for the supervisor is to stay small."""

import asyncio
from urllib.parse import urlsplit

ANSWER_WITHIN_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.1


async def until_ready(url: str) -> None:
    """Return once `url` answers 200; the caller sets the deadline."""
    pause = FIRST_PAUSE_SECONDS
    while not await answers_ok(url):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


async def answers_ok(url: str) -> bool:
    """One GET; False for another status, no listener, no answer in time, or no HTTP."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await _status(url) == 200
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


async def _status(url: str) -> int:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status_line = await reader.readline()
        return int(status_line.split(maxsplit=2)[1]) if status_line.startswith(b"HTTP/1.") else 0
    finally:
        writer.close()
