"""Child processes: start them with their own environment, wait until they answer, stop them."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT_SECONDS = 60.0
"""More than the grace period of a processor."""
_POLL_SECONDS = 0.05
_INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV", "JAVA_HOME")


class ChildFailedError(Exception):
    """A process ended or did not answer; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and its log file."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def failed(self, what: str) -> ChildFailedError:
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
        return ChildFailedError(f"{what}\n{tail}")


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Child]:
    """Run `command` for the duration of the context, without the settings of the shell."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={**inherited, **environment}, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
    try:
        yield Child(process, log)
    finally:
        await _stop(process)


async def wait_until_answering(child: Child, url: str, timeout_seconds: float = 30.0) -> None:
    """Wait until `url` answers with a status below 500.

    :raises ChildFailedError: when the process ends or does not answer in time.
    """
    deadline = time.monotonic() + timeout_seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            if child.process.returncode is not None:
                raise child.failed(f"It ended with status {child.process.returncode}.")
            try:
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    if answer.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_POLL_SECONDS)
    raise child.failed(f"{url} did not answer within {timeout_seconds:g} s.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
