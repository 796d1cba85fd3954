"""Check whether an HTTP address answers 200, without an HTTP library: the supervisor uses little memory."""

import asyncio
from urllib.parse import urlsplit

ANSWER_TIMEOUT_SECONDS = 2.0
MIN_PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 0.1


async def wait_until_ready(url: str) -> None:
    """Return once `url` answers 200; the caller sets the deadline."""
    pause = MIN_PAUSE_SECONDS
    while not await is_ready(url):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, MAX_PAUSE_SECONDS)


async def is_ready(url: str) -> bool:
    """Send one GET; return False for another status, no listener, no answer in time, or another protocol."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
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
