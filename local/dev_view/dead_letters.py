"""The dead letters, by the command of the processor (`make dead-letters`)."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from local.dev_view.calls import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("-m", "services.processor.dead_letters")
COMMAND_SECONDS = 60.0
STOP_SECONDS = 5.0


class DeadLetters:
    """Runs the dead-letter command, once at a time: a message that it reads is hidden from others."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._turn = asyncio.Lock()

    async def listed(self) -> dict[str, Any]:
        """Return what `list --json` prints.

        :raises UnavailableError: when the queue cannot be read.
        """
        return await self._run("list")

    async def redrive(self, message_id: str | None) -> int:
        """Redrive one dead letter, or all; return how many were redriven.

        :raises UnavailableError: when one could not be redriven, with the reason.
        """
        selection = ("--all", "--yes") if message_id is None else (message_id,)
        outcome = await self._run("redrive", *selection)
        if outcome["failed"]:
            raise UnavailableError(f"Not redriven: {outcome['failed'][0]['error']}.")
        if outcome["notFound"]:
            raise UnavailableError("It is no longer in the dead-letter queue.")
        return int(outcome["done"])

    async def _run(self, *arguments: str) -> dict[str, Any]:
        async with self._turn:
            output, message = await self._output(*arguments, "--json")
        try:
            result: dict[str, Any] = orjson.loads(output)
        except orjson.JSONDecodeError:
            raise UnavailableError(message.decode(errors="replace").strip() or "The command printed nothing.") from None
        return result

    async def _output(self, *arguments: str) -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *COMMAND, *arguments),
            cwd=ROOT,
            env=self._environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await process.communicate()
        except TimeoutError:
            raise UnavailableError(f"The command took more than {COMMAND_SECONDS:g} s.") from None
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the command if it runs. SIGTERM makes the messages that it has read visible again."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
