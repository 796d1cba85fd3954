"""All running processes of the stack, in the order of their start."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from local.plan import Program
from local.supervisor.child import Child, start
from local.supervisor.console import Console


class Crew:
    """Starts programs rank by rank and stops them rank by rank in reverse; make it with `crew`."""

    def __init__(self, console: Console, leash: int) -> None:
        self._console = console
        self._leash = leash
        self._ranks: list[list[Child]] = []

    @property
    def children(self) -> list[Child]:
        return [child for rank in self._ranks for child in rank]

    async def muster(self, programs: Sequence[Program]) -> None:
        """Start `programs` together and return once all are ready.

        Raises an exception group with ChildDiedError when any child ends meanwhile, an earlier one
        included, or with NotReadyError when one misses its deadline.
        """
        rank: list[Child] = []
        self._ranks.append(rank)
        for program in programs:
            # One by one, so that what has started is known, and stopped, should the next one not start.
            rank.append(await start(program, self._leash, self._console))  # noqa: PERF401
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self.watch(), name="watch")
            async with asyncio.TaskGroup() as readiness:
                for child in rank:
                    readiness.create_task(child.ready(), name=f"readiness of {child.name}")
            watch.cancel()

    async def watch(self) -> None:
        """Raise an exception group with ChildDiedError as soon as a child ends that nobody asked to."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(_outlive(child), name=f"life of {child.name}")

    async def stop(self) -> None:
        """Stop the last rank first; the children of one rank stop together."""
        for rank in reversed(self._ranks):
            async with asyncio.TaskGroup() as group:
                for child in rank:
                    group.create_task(child.stop(), name=f"stop of {child.name}")

    async def end(self) -> None:
        """Kill whatever still runs, and leave nothing of it in the event loop."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(child.end(), name=f"end of {child.name}")


@asynccontextmanager
async def crew(console: Console) -> AsyncIterator[Crew]:
    """A crew that is stopped in order at the end, and killed should that be interrupted."""
    leash, held = os.pipe()
    members = Crew(console, leash)
    try:
        yield members
    finally:
        try:
            await members.stop()
        finally:
            await members.end()
            os.close(held)
            os.close(leash)


async def _outlive(child: Child) -> None:
    status = await child.exited()
    if status or child.program.ready_url:
        raise child.death(status)
