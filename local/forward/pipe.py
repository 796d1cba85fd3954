"""Bytes from one connection to another."""

import asyncio
import contextlib

CHUNK_BYTES = 65_536


async def joined(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Carry each way's bytes until both sides have said all."""
    await asyncio.gather(*(_carry(reader, writer) for reader, writer in ways))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The end of what is said is passed on too, so that half-closed connections work."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
