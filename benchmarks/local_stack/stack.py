"""A local stack for a benchmark: the real `python -m local.up` on free ports."""

import asyncio
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from local.aws.key_pair import KeyPair
from local.outputs import Outputs
from local.plan import ROOT, Plan
from local.ports import Ports
from tests.support.ports import free_port_base

READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
_KEYS = re.compile(rb"AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    plan: Plan
    pid: int
    ready_seconds: float

    @property
    def ports(self) -> Ports:
        return self.plan.ports

    @property
    def outputs(self) -> Outputs:
        return Outputs.read(self.plan.outputs_file)

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.page}"


@asynccontextmanager
async def running_stack(environment: Mapping[str, str]) -> AsyncIterator[Stack]:
    """Start a stack, wait until it prints that it is ready, and stop it at the end of the context."""
    ports = Ports(free_port_base())
    shell = {**os.environ, **environment, "LOCAL_PORT_BASE": str(ports.base)}
    began_at = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.up"),
        cwd=ROOT,
        env=shell,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
    )
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            keys = await _wait_until_ready(process)
        ready_seconds = time.monotonic() - began_at
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(_discard_output(process))
            yield Stack(Plan(ports, shell, keys=keys), process.pid, ready_seconds)
            reading.cancel()
    finally:
        await _stop(process)
        shutil.rmtree(Plan(ports, shell).state, ignore_errors=True)


async def _wait_until_ready(process: asyncio.subprocess.Process) -> KeyPair:
    """Return the key pair of the emulated AWS, which is printed before."""
    output = []
    while line := await _line(process):
        output.append(line)
        if line.startswith(b"ready in ") and (found := _KEYS.search(b"".join(output))):
            return KeyPair(found[1].decode(), found[2].decode())
    raise RuntimeError("The stack did not start:\n" + b"".join(output).decode(errors="replace"))


async def _discard_output(process: asyncio.subprocess.Process) -> None:
    """Read and discard: a full pipe would block the stack."""
    while await _line(process):
        pass


async def _line(process: asyncio.subprocess.Process) -> bytes:
    return await process.stdout.readline() if process.stdout else b""


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
