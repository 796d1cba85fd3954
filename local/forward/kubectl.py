"""Calls to kubectl, which knows the user's cluster and how to get in."""

import asyncio
import contextlib
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from local.forward.errors import ForwardError

ANSWER_WITHIN_SECONDS = 20.0
STOP_WITHIN_SECONDS = 3.0
LONGEST_LINE_BYTES = 4 * 1024 * 1024
"""An EndpointSlice of 100 endpoints on one line, and some."""


async def get(*arguments: str) -> Any:
    """The JSON answer of `kubectl get`. Raises ForwardError with kubectl's own words."""
    async with running("get", *arguments, "-o", "json") as process:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                out, complaint = await process.communicate()
        except TimeoutError:
            raise ForwardError("The cluster does not answer. Is KUBECONFIG right?") from None
    if process.returncode:
        raise ForwardError(f"kubectl could not ask the cluster: {complaint.decode(errors='replace').strip()}")
    return json.loads(out)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Process]:
    """A kubectl whose output is read; it is ended with the context. Raises ForwardError where there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            "kubectl", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=LONGEST_LINE_BYTES
        )
    except FileNotFoundError:
        raise ForwardError("kubectl is not on PATH: it is needed to reach the cluster.") from None
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
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def lines(process: Process) -> AsyncIterator[str]:
    """Each line of its output as it comes."""
    assert process.stdout is not None  # noqa: S101 -- for mypy: `running` asks for a pipe
    async for line in process.stdout:
        yield line.decode(errors="replace").rstrip("\n")
