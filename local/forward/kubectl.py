"""Calls of kubectl, which uses the developer's cluster configuration."""

import asyncio
import contextlib
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from local.errors import LocalError


class ForwardError(LocalError):
    """Nothing can be forwarded; the message says what to do."""


GET_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 3.0
MAX_LINE_BYTES = 4 * 1024 * 1024
"""Enough for an EndpointSlice of 100 endpoints on one line."""


async def get(*arguments: str) -> Any:
    """Return the JSON output of `kubectl get`.

    :raises ForwardError: with kubectl's message.
    """
    async with run_kubectl("get", *arguments, "-o", "json") as process:
        try:
            async with asyncio.timeout(GET_TIMEOUT_SECONDS):
                output, message = await process.communicate()
        except TimeoutError:
            raise ForwardError("The cluster does not answer. Is KUBECONFIG right?") from None
    if process.returncode:
        raise ForwardError(f"kubectl failed: {message.decode(errors='replace').strip()}")
    return json.loads(output)


@asynccontextmanager
async def run_kubectl(*arguments: str) -> AsyncIterator[Process]:
    """Run kubectl for the duration of the context.

    :raises ForwardError: when kubectl is not installed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            "kubectl", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=MAX_LINE_BYTES
        )
    except FileNotFoundError:
        raise ForwardError("kubectl is not on PATH. It is needed to reach the cluster.") from None
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def read_lines(process: Process) -> AsyncIterator[str]:
    """Yield the lines of its output."""
    assert process.stdout is not None  # noqa: S101 -- for mypy: `run_kubectl` opens a pipe
    async for line in process.stdout:
        yield line.decode(errors="replace").rstrip("\n")
