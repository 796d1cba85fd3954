"""A child process of a test: its command, environment, log file, readiness, signals and end."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self, TypeVar

from local.environment import base_environment
from local.plan import ROOT
from local.supervisor.child import describe_exit
from tests.support.processes.probes import answers_200
from tests.support.waiting import wait_until_sync

START_SECONDS = 30.0
STOP_SECONDS = 20.0
TAIL_CHARACTERS = 3_000
_WATCHED = "local.parent_watch"

T = TypeVar("T")


def python(module: str, *arguments: str) -> list[str]:
    """Return the command of a module that ends with the test run, also when that is killed."""
    return [sys.executable, "-m", _WATCHED, str(_parent_watch()), module, *arguments]


def plain_python(module: str, *arguments: str) -> list[str]:
    """Return the command of a module as a person types it. It outlives a test run that is killed."""
    return [sys.executable, "-m", module, *arguments]


@cache
def _parent_watch() -> int:
    """Return the read end of a pipe whose write end is closed when this process ends."""
    return os.pipe()[0]


class Child:
    """A process; as a context manager it runs during the block."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, pass_fds: Sequence[int] = ()
    ) -> None:
        """Describe it, without starting it.

        :param environment: added to the variables that every process of the local stack gets.
        :param log: its output is appended to this file. A pipe that nothing reads would fill up and block it.
        :param pass_fds: open files that it inherits.
        """
        self._command = command
        self._environment = {**base_environment(os.environ), **environment}
        self._log = log
        self._pass_fds = [_parent_watch(), *pass_fds]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again after it has ended."""
        assert self._process is None or not self.is_running, "it runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._pass_fds,
                # Ctrl-C in the terminal then reaches only the test run, which stops it. Without a parent watch it must
                # reach the process, or nothing would end it.
                start_new_session=_WATCHED in self._command,
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def is_running(self) -> bool:
        return self._started.poll() is None

    def output(self) -> str:
        """What it has written so far, including before restarts."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, condition: Callable[[], T | None], what: str, seconds: float = START_SECONDS) -> T:
        """Return the first true result of `condition()`.

        :param what: what is waited for, for the error's text.
        :raises AssertionError: at once if it ends, or after `seconds`, with the end of its output.
        """

        def check() -> T | None:
            running = self.is_running  # before the condition, which its last output may have made true
            if not (result := condition()) and not running:
                raise self.failed(f"{describe_exit(self.ended())} before this: {what}")
            return result

        return wait_until_sync(check, lambda: str(self.failed(what)), timeout_seconds=seconds)

    def wait_for_output(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Wait for a regular expression in the output."""
        return self.wait_until(lambda: re.search(pattern, self.output()), f"{pattern!r} in the output", seconds)

    def wait_for_count(self, text: str, count: int, seconds: float = START_SECONDS) -> None:
        """Wait until a text is in the output so often."""
        self.wait_until(lambda: self.output().count(text) >= count, f"{count} times {text!r} in the output", seconds)

    def wait_until_ready(self, url: str, seconds: float = START_SECONDS) -> None:
        """Wait until the URL answers 200."""
        self.wait_until(lambda: answers_200(url), f"{url} answers 200", seconds)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._started.send_signal(number)

    def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return the exit status, negative for a signal."""
        try:
            return self._started.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failed(f"did not end within {seconds:g} s") from None

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM and return the exit status. If it has not ended in time, kill it and fail."""
        self.signal()
        try:
            return self.ended(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self._started.kill()
        self._started.wait(STOP_SECONDS)

    def failed(self, what: str) -> AssertionError:
        """Return an error with the end of its output."""
        return AssertionError(f"{self._log.stem}: {what}\n{self.output()[-TAIL_CHARACTERS:]}")

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Child]:
    """Run a process during the block, with its output in a temporary file."""
    with TemporaryDirectory() as folder, Child(command, environment, Path(folder) / "child.log") as child:
        yield child
