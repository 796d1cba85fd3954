"""One process of the stack: started on the leash, heard, waited for and stopped."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from dataclasses import dataclass, field
from io import FileIO

from local.errors import LocalError
from local.plan import ROOT, Program
from local.supervisor.console import Console
from local.supervisor.lines import lines
from local.supervisor.probe import until_ready

LAST_LINES = 15
END_WITHIN_SECONDS = 5.0
"""For the operating system to end a process that was killed."""
OUTPUT_ENDS_WITHIN_SECONDS = 2.0
"""A grandchild may hold the output open after its parent; nobody waits longer for its last words."""


class ChildDiedError(LocalError):
    """A process of the stack ended although nobody asked it to."""


class NotReadyError(LocalError):
    """A process of the stack runs but did not get ready, or a one-shot did not end, before its deadline."""


@dataclass(eq=False)
class Child:
    """A running program; make it with `start`."""

    program: Program
    process: asyncio.subprocess.Process
    tail: deque[str]
    _output: asyncio.Task[None] = field(repr=False)

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self.process.pid

    async def exited(self) -> int:
        """Wait for the end, the last line of output included, and give the exit status."""
        status = await self.process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_ENDS_WITHIN_SECONDS):
                await asyncio.shield(self._output)
        return status

    async def ready(self) -> None:
        """Return once it is ready, or, a one-shot, has ended well; NotReadyError after the deadline."""
        program = self.program
        try:
            async with asyncio.timeout(program.ready_within_seconds):
                if program.ready_url:
                    await until_ready(program.ready_url)
                elif status := await self.exited():
                    raise self.death(status)
        except TimeoutError:
            raise NotReadyError(self._not_ready()) from None

    def death(self, status: int) -> ChildDiedError:
        return ChildDiedError(f"{self.name} (pid {self.pid}) {ending(status)}.{self._last_words()}")

    def _not_ready(self) -> str:
        what = f"answer 200 at {self.program.ready_url}" if self.program.ready_url else "end"
        seconds = self.program.ready_within_seconds
        return f"{self.name} (pid {self.pid}) did not {what} within {seconds:g} s.{self._last_words()}"

    def _last_words(self) -> str:
        return "".join(["\nIts last lines were:", *(f"\n    {line}" for line in self.tail)]) if self.tail else ""

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL to its whole process group when the deadline is over."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.program.stop_within_seconds):
                await self.process.wait()
        except TimeoutError:
            self.tail.append("(did not stop in time and was killed)")
        finally:
            self.kill()
        await self.exited()
        await self._close_output()

    async def end(self) -> None:
        """Kill what is left of it, and wait until nothing of it is left in the event loop either."""
        if self.process.returncode is None:
            self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_SECONDS):
                await self.process.wait()
        await self._close_output()

    async def _close_output(self) -> None:
        """Read no more, whoever still holds the other end: the event loop may be closed next."""
        self._output.cancel()
        await asyncio.wait([self._output])

    def kill(self) -> None:
        """End it and whatever it may have started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


async def start(program: Program, leash: int, console: Console) -> Child:
    """Run `program` in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone."""
    # A pipe of our own. asyncio would close its own one only after the last process that holds it has ended, which may
    # be later than the event loop.
    reading, writing = os.pipe()
    output = FileIO(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            *command(program, leash),
            cwd=ROOT,
            env=dict(program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=[leash],
            start_new_session=True,
        )
    except BaseException:
        output.close()
        raise
    finally:
        os.close(writing)
    tail: deque[str] = deque(maxlen=LAST_LINES)
    hearing = asyncio.create_task(_hear(program.name, output, tail, console), name=f"output of {program.name}")
    return Child(program, process, tail, hearing)


def command(program: Program, leash: int) -> list[str]:
    return [sys.executable, "-m", "local.parent_watch", str(leash), program.module, *program.arguments]


async def _hear(name: str, output: FileIO, tail: deque[str], console: Console) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    try:
        async for line in lines(reader):
            tail.append(line)
            console.line(name, line)
    finally:
        transport.close()


def ending(status: int) -> str:
    """How a process ended, in words; a negative status is the number of the signal that ended it."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
