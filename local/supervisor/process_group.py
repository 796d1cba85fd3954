"""All programs of the stack, in the order of their start."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from local.plan import Program
from local.supervisor.console import Console
from local.supervisor.managed_process import ManagedProcess
from local.supervisor.output import Output


class ProcessGroup:
    """Starts programs in tiers, keeps them running, and stops them in reverse order. Create it with `process_group`."""

    def __init__(self, console: Console, logs: Path, watch_fd: int) -> None:
        self._console = console
        self._logs = logs
        self._watch_fd = watch_fd
        self._tiers: list[dict[str, ManagedProcess]] = []

    async def start(self, programs: Sequence[Program]) -> None:
        """Start a tier of programs together and wait until all are ready.

        Raises an exception group with ChildDiedError when any process ends meanwhile, also one of an earlier tier, or
        with NotReadyError when one misses its deadline.
        """
        tier: dict[str, ManagedProcess] = {}
        self._tiers.append(tier)
        for program in programs:
            # One at a time, so that those that have started are stopped if the next one does not start.
            managed = tier[program.name] = self._managed(program)
            await managed.start()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._expect_all_running(), name="watch")
            async with asyncio.TaskGroup() as readiness:
                for managed in tier.values():
                    readiness.create_task(managed.wait_until_ready(), name=f"readiness of {managed.name}")
            watch.cancel()

    def restart(self, name: str, program: Program | None = None) -> None:
        """Request a restart, with another program such as one with new settings if one is given."""
        self._by_name()[name].restart(program)

    def on_restarted(self, name: str, action: Callable[[], object]) -> None:
        """Call `action` each time that the program `name` is ready, or, for a one-shot, done again."""
        self._by_name()[name].on_restarted = action

    async def keep_running(self) -> None:
        """Start each program again when it ends, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for managed in self._by_name().values():
                group.create_task(managed.keep_running(), name=managed.name)

    async def stop(self) -> None:
        """Stop the last tier first; the processes of one tier stop together."""
        for tier in reversed(self._tiers):
            async with asyncio.TaskGroup() as group:
                for managed in tier.values():
                    group.create_task(managed.stop(), name=f"stop of {managed.name}")

    async def kill(self) -> None:
        """Kill the processes that still run, and remove them from the event loop."""
        async with asyncio.TaskGroup() as group:
            for managed in self._by_name().values():
                group.create_task(managed.kill(), name=f"kill of {managed.name}")

    def _managed(self, program: Program) -> ManagedProcess:
        output = Output(program.name, self._console, self._logs)
        return ManagedProcess(program, self._watch_fd, self._console, output)

    def _by_name(self) -> dict[str, ManagedProcess]:
        return {name: managed for tier in self._tiers for name, managed in tier.items()}

    async def _expect_all_running(self) -> None:
        async with asyncio.TaskGroup() as group:
            for managed in self._by_name().values():
                group.create_task(managed.expect_running(), name=f"watch of {managed.name}")


@asynccontextmanager
async def process_group(console: Console, logs: Path) -> AsyncIterator[ProcessGroup]:
    """Create a process group that is stopped in order at the end, and killed if that is interrupted.

    :param logs: the folder of the programs' log files.
    """
    watch_fd, held_fd = os.pipe()
    group = ProcessGroup(console, logs, watch_fd)
    try:
        yield group
    finally:
        try:
            await group.stop()
        finally:
            await group.kill()
            os.close(held_fd)
            os.close(watch_fd)
