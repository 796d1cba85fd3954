"""All running processes of the stack, in the order of their start."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from local.plan import Program
from local.supervisor.child import Child, start
from local.supervisor.console import Console


class ProcessGroup:
    """Starts programs in tiers and stops them in reverse order. Create it with `process_group`."""

    def __init__(self, console: Console, watch_fd: int) -> None:
        self._console = console
        self._watch_fd = watch_fd
        self._tiers: list[list[Child]] = []

    @property
    def children(self) -> list[Child]:
        return [child for tier in self._tiers for child in tier]

    async def start(self, programs: Sequence[Program]) -> None:
        """Start a tier of programs together and wait until all are ready.

        Raises an exception group with ChildDiedError when any child ends meanwhile, also one of an earlier tier, or
        with NotReadyError when one misses its deadline.
        """
        tier: list[Child] = []
        self._tiers.append(tier)
        for program in programs:
            # One at a time, so that those that have started are stopped if the next one does not start.
            tier.append(await start(program, self._watch_fd, self._console))  # noqa: PERF401
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self.watch(), name="watch")
            async with asyncio.TaskGroup() as readiness:
                for child in tier:
                    readiness.create_task(child.wait_until_ready(), name=f"readiness of {child.name}")
            watch.cancel()

    async def watch(self) -> None:
        """Raise an exception group with ChildDiedError as soon as a child ends unexpectedly."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(_expect_running(child), name=f"watch of {child.name}")

    async def stop(self) -> None:
        """Stop the last tier first; the children of one tier stop together."""
        for tier in reversed(self._tiers):
            async with asyncio.TaskGroup() as group:
                for child in tier:
                    group.create_task(child.stop(), name=f"stop of {child.name}")

    async def kill(self) -> None:
        """Kill the processes that still run, and remove them from the event loop."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(child.kill_and_wait(), name=f"kill of {child.name}")


@asynccontextmanager
async def process_group(console: Console) -> AsyncIterator[ProcessGroup]:
    """Create a process group that is stopped in order at the end, and killed if that is interrupted."""
    watch_fd, held_fd = os.pipe()
    group = ProcessGroup(console, watch_fd)
    try:
        yield group
    finally:
        try:
            await group.stop()
        finally:
            await group.kill()
            os.close(held_fd)
            os.close(watch_fd)


async def _expect_running(child: Child) -> None:
    status = await child.wait()
    if status or child.program.ready_url:
        raise child.died(status)
