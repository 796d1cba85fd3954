"""How long a service takes from its start to its readiness: a second instance beside the running one."""

import asyncio
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import replace

from benchmarks.local_stack.stack import Stack, free_ports
from benchmarks.support.figures import Figure
from local.plan import ROOT, Plan, Program
from local.supervisor.readiness import wait_until_ready

ROUNDS = 3
GOAL_SECONDS = 1.5
READY_WITHIN_SECONDS = 30.0


async def starts(stack: Stack) -> list[Figure]:
    figures = []
    for number in range(3):
        times = []
        for _ in range(ROUNDS):
            program = second_instance(stack, number)
            times.append(await time_to_ready(program))
        name = f"start of {program.name} to ready"
        figures.append(Figure(name, statistics.median(times), "s", GOAL_SECONDS, f"median of {ROUNDS}"))
    return figures


def second_instance(stack: Stack, number: int) -> Program:
    """The same service of the same stage on ports of its own."""
    program = stack.plan.system(stack.outputs)[number]
    other = Plan(free_ports(), stack.plan.shell).system(stack.outputs)[number]
    moved = {
        name: other.environment[name] for name in ("PORT", "OPS_PORT", "ALLOWED_HOSTS") if name in other.environment
    }
    return replace(program, environment={**program.environment, **moved}, ready_url=other.ready_url)


async def time_to_ready(program: Program) -> float:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program.module),
        cwd=ROOT,
        env=dict(program.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            await wait_until_ready(program.ready_url or "")
        return time.monotonic() - began
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
