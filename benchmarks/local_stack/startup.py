"""How long services take to start, and how long ten tasks of five seconds take that are submitted together."""

import asyncio
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import replace

from benchmarks.local_stack.stack import Stack, running_stack
from benchmarks.local_stack.user import User, signed_in_subscriber
from benchmarks.support.figures import Figure
from local.plan import ROOT, Plan, Program
from local.ports import Ports
from local.supervisor.readiness import wait_until_ready
from tests.support.ports import free_port_base

ROUNDS = 3
READY_TIMEOUT_SECONDS = 30.0
SERVICES = 3
TASKS = 10
TASK_SECONDS = 5


async def service_starts(stack: Stack) -> list[Figure]:
    """Start a second instance of each service beside the running one, several times."""
    figures = []
    for number in range(SERVICES):
        program = second_instance(stack, number)
        times = [await seconds_to_ready(second_instance(stack, number)) for _ in range(ROUNDS)]
        figures.append(Figure(f"{program.name}: start to ready", statistics.median(times), "s", f"median of {ROUNDS}"))
    return figures


def second_instance(stack: Stack, number: int) -> Program:
    """Return a service of the same stage with other ports."""
    program = stack.plan.system(stack.outputs)[number]
    other = Plan(Ports(free_port_base()), stack.plan.shell).system(stack.outputs)[number]
    moved = {
        name: other.environment[name] for name in ("PORT", "OPS_PORT", "ALLOWED_HOSTS") if name in other.environment
    }
    return replace(program, environment={**program.environment, **moved}, ready_url=other.ready_url)


async def seconds_to_ready(program: Program) -> float:
    """Start the program, wait until it is ready, and stop it."""
    began_at = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program.module),
        cwd=ROOT,
        env=dict(program.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            await wait_until_ready(program.ready_url or "")
        return time.monotonic() - began_at
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def submit_together(user: User) -> list[Figure]:
    """Submit the tasks together and wait for all notifications."""
    warm_up, _ = await user.submit()
    await user.notified({warm_up})
    began_at = time.monotonic()
    submitted = await asyncio.gather(*(user.submit() for _ in range(TASKS)))
    notified = await user.notified({task_id for task_id, _ in submitted})
    name = f"{TASKS} tasks of {TASK_SECONDS} s submitted together"
    return [Figure(name, max(notified.values()) - began_at, "s", "from the first POST to the last notification")]


async def measure_tasks_together() -> tuple[float, list[Figure]]:
    """Start a stack whose tasks take five seconds; return the seconds until it was ready, and the figures."""
    environment = {"ECHO_SECONDS": str(TASK_SECONDS)}
    async with running_stack(environment) as stack, signed_in_subscriber(stack) as user:
        return stack.ready_seconds, await submit_together(user)
