"""One process of the stack: start it, read its output, wait for its readiness, stop it."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from io import FileIO

from local.errors import LocalError
from local.plan import ROOT, Program
from local.supervisor.console import read_lines
from local.supervisor.output import Output
from local.supervisor.race import first_of
from local.supervisor.readiness import wait_until_ready

KILL_TIMEOUT_SECONDS = 5.0
"""How long the operating system may take to end a killed process."""
OUTPUT_TIMEOUT_SECONDS = 2.0
"""A grandchild may keep the output open after its parent has ended; we wait no longer for it."""


class NotStartedError(LocalError):
    """The operating system did not start a process of the stack."""


class ChildDiedError(LocalError):
    """A process of the stack ended unexpectedly, with an exit status or, where that is negative, by a signal."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class NotReadyError(LocalError):
    """A process of the stack was not ready, or a one-shot had not ended, before its deadline."""


@dataclass(eq=False)
class Child:
    """A running program; create it with `start`."""

    program: Program
    process: asyncio.subprocess.Process
    output: Output
    _reading: asyncio.Task[None] = field(repr=False)
    _is_stopping: bool = False

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self.process.pid

    async def wait(self) -> int:
        """Wait for the end of the process and of its output; return the exit status."""
        status = await self.process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_TIMEOUT_SECONDS):
                await asyncio.shield(self._reading)
        return status

    async def wait_until_ready(self) -> None:
        """Wait until it is ready, or, for a one-shot, has ended with status 0.

        :raises NotReadyError: after the deadline.
        :raises ChildDiedError: when it ends before, or a one-shot with another status.
        """
        program = self.program
        try:
            async with asyncio.timeout(program.ready_within_seconds):
                if program.ready_url:
                    status = await first_of(wait_until_ready(program.ready_url), self.wait())
                else:
                    status = await self.wait() or None
        except TimeoutError:
            raise NotReadyError(self._not_ready()) from None
        if status is not None:
            raise self.died(status)

    def died(self, status: int) -> ChildDiedError:
        """Describe its unexpected end."""
        return ChildDiedError(
            f"{self.name} (pid {self.pid}) {describe_exit(status)}.{self.output.last_lines_text()}", status
        )

    def _not_ready(self) -> str:
        what = f"answer 200 at {self.program.ready_url}" if self.program.ready_url else "end"
        seconds = self.program.ready_within_seconds
        return f"{self.name} (pid {self.pid}) did not {what} within {seconds:g} s.{self.output.last_lines_text()}"

    async def stop(self) -> None:
        """Send SIGTERM, and after the deadline SIGKILL to its process group.

        After a cancellation the process goes on stopping; a second call waits for it. A second SIGTERM would let a
        service end without returning its tasks to the queue.
        """
        if not self._is_stopping:
            self._is_stopping = True
            self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.program.stop_within_seconds):
                await self.process.wait()
        except TimeoutError:
            self.output.last_lines.append("(did not stop in time and was killed)")
        self.kill()
        await self.wait()
        await self._close_output()

    async def kill_and_wait(self) -> None:
        """Kill it if it still runs, and remove it from the event loop."""
        if self.process.returncode is None:
            self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                await self.process.wait()
        await self._close_output()

    async def _close_output(self) -> None:
        """Stop reading, even if another process keeps the other end open: the event loop may be closed next."""
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def kill(self) -> None:
        """Kill its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


async def start(program: Program, watch_fd: int, output: Output) -> Child:
    """Run `program` in its own session, so that Ctrl-C in the terminal reaches only the supervisor.

    :param watch_fd: the pipe of `local.parent_watch`.
    :raises NotStartedError: when the operating system refuses.
    """
    # Not asyncio's pipe: that is closed only after the last process that holds it has ended, which may be later than
    # the event loop.
    reading_fd, writing_fd = os.pipe()
    pipe = FileIO(reading_fd)
    try:
        process = await asyncio.create_subprocess_exec(
            *command(program, watch_fd),
            cwd=ROOT,
            env=dict(program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing_fd,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=[watch_fd],
            start_new_session=True,
        )
    except BaseException as error:
        pipe.close()
        if isinstance(error, OSError):
            raise NotStartedError(f"{program.name} cannot be started: {error}") from error
        raise
    finally:
        os.close(writing_fd)
    output.last_lines.clear()
    return Child(program, process, output, asyncio.create_task(_read(pipe, output), name=f"output of {program.name}"))


def command(program: Program, watch_fd: int) -> list[str]:
    """Return the command that runs `program` under `local.parent_watch`."""
    return [sys.executable, "-m", "local.parent_watch", str(watch_fd), program.module, *program.arguments]


async def _read(pipe: FileIO, output: Output) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async for line in read_lines(reader):
            output.line(line)
    finally:
        transport.close()


def describe_exit(status: int) -> str:
    """Describe how a process ended. A negative status is the number of the signal that ended it."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
