"""Keeps one program running: it is started again when it ends, and on request."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from local.errors import LocalError
from local.plan import Program
from local.supervisor.child import Child, ChildDiedError, start
from local.supervisor.console import Console
from local.supervisor.output import Output
from local.supervisor.race import first_of
from services.common.backoff import Backoff

BACKOFF_BASE_SECONDS = 1.0
BACKOFF_CAP_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""A process that has run for so long is no longer counted as failing: the next pause is the shortest again."""
UNUSABLE_SETTINGS_STATUS = 2
"""With this exit status a service says that its settings, or its handler, cannot be used (services/common/run.py)."""


def _do_nothing() -> None:
    """The default of `on_restarted`."""


class ManagedProcess:
    """One program and its current process.

    `start` and `wait_until_ready` are strict. After that, `keep_running` deals with every end. A one-shot runs again
    only on request.
    """

    def __init__(self, program: Program, watch_fd: int, console: Console, output: Output) -> None:
        """Describe it, without starting it.

        :param watch_fd: the pipe of `local.parent_watch`.
        """
        self._program = program
        self._watch_fd = watch_fd
        self._console = console
        self._output = output
        self._child: Child | None = None
        self._restart_requested = asyncio.Event()
        self._backoff = Backoff(BACKOFF_BASE_SECONDS, BACKOFF_CAP_SECONDS)
        self.on_restarted: Callable[[], object] = _do_nothing
        """Called each time that it is ready again, or, for a one-shot, done again."""

    @property
    def name(self) -> str:
        return self._program.name

    async def start(self) -> None:
        """Start the process, without waiting for its readiness."""
        self._child = await start(self._program, self._watch_fd, self._output)

    async def wait_until_ready(self) -> None:
        """Wait until it is ready, done, or waits for a change of its code.

        :raises ChildDiedError, NotReadyError: when it is not.
        """
        try:
            await self._running.wait_until_ready()
        except ChildDiedError as error:
            if not self._waits_for_change(error):
                raise

    async def expect_running(self) -> None:
        """Return once it is done or waits for a change of its code.

        :raises ChildDiedError: when it ends otherwise.
        """
        status = await self._running.wait()
        died = self._running.died(status)
        is_done = status == 0 and self._is_one_shot
        if not is_done and not self._waits_for_change(died):
            raise died

    def restart(self, program: Program | None = None) -> None:
        """Request a restart, with another program such as one with new settings if one is given."""
        self._program = program or self._program
        self._backoff.reset()
        self._restart_requested.set()

    async def keep_running(self) -> NoReturn:
        """Start it again whenever it ends or a restart is requested, until cancelled."""
        while True:
            problem = await first_of(self._requested(), self._run())
            await self._stop_process()
            if problem is not None:
                await first_of(self._requested(), self._pause_after(problem))
            self._restart_requested.clear()

    async def stop(self) -> None:
        await self._stop_process()
        self._output.close()

    async def kill(self) -> None:
        """Kill the process if it still runs, and remove it from the event loop."""
        if self._child is not None:
            await self._child.kill_and_wait()

    @property
    def _running(self) -> Child:
        assert self._child is not None, "it was not started"  # noqa: S101
        return self._child

    @property
    def _is_one_shot(self) -> bool:
        return self._program.ready_url is None

    async def _requested(self) -> None:
        await self._restart_requested.wait()

    async def _run(self) -> LocalError:
        """Run the process, or the one that runs already, to its end, and return what went wrong."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        try:
            if self._child is None:
                await self.start()
                await self._running.wait_until_ready()
                self._console.info(f"{self.name} {'is done' if self._is_one_shot else 'runs'} again")
                self.on_restarted()
            if self._is_one_shot:
                await self._stop_process()
                await asyncio.Event().wait()  # until it is requested again
            return self._running.died(await self._running.wait())
        except LocalError as error:
            return error
        finally:
            if loop.time() - started_at >= STABLE_SECONDS:
                self._backoff.reset()

    async def _stop_process(self) -> None:
        """Stop it if it runs, end what it has left running, and forget it: its pid may be another process' soon."""
        if self._child is not None:
            await self._child.stop()
            self._child = None

    async def _pause_after(self, problem: LocalError) -> None:
        if self._waits_for_change(problem):
            folder = self._program.reload_folder
            self._console.error(f"{problem}\n{self.name} starts again when a Python file in {folder} changes.")
            await asyncio.Event().wait()
        pause = self._backoff.next_seconds()
        self._console.error(f"{problem}\n{self.name} starts again in {pause:.1f} s.")
        await asyncio.sleep(pause)

    def _waits_for_change(self, problem: LocalError) -> bool:
        """Whether only a change of the developer's code can help, so that trying again would not."""
        has_unusable_settings = isinstance(problem, ChildDiedError) and problem.status == UNUSABLE_SETTINGS_STATUS
        return has_unusable_settings and self._program.reload_folder is not None
