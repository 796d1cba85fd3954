"""Run the supervisor as a process, with stub processes or the real stack, and read its output."""

import contextlib
import os
import random
import re
import select
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.plan import ROOT
from local.ports import Ports
from local.supervisor.port_check import is_taken
from tests.support.waiting import wait_until_sync

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.02
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port_base() -> int:
    """A port base whose ports are all free and below the system's range of client ports."""
    while True:
        base = random.randrange(12_000, 30_000)
        if not any(is_taken(port) for port in Ports(base).purposes()):
            return base


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.parent.parent.joinpath("self").exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def get(url: str) -> int:
    with _OPENER.open(url, timeout=5) as response:
        status: int = response.status
        return status


def answers_200(url: str) -> bool:
    try:
        return get(url) == 200
    except OSError:
        return False


class Supervised:
    """A running supervisor; `output` is its output so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self._said = bytearray()
        self._output = output
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._closing = threading.Event()
        self._reader.start()

    def _read(self) -> None:
        with contextlib.closing(os.fdopen(self._output, "rb", buffering=0)) as output:
            while not self._closing.is_set():
                if select.select([output], [], [], POLL_SECONDS)[0]:
                    chunk = output.read(65_536)
                    if not chunk:
                        return
                    self._said += chunk

    @property
    def output(self) -> str:
        return self._said.decode(errors="replace")

    def close_output(self) -> None:
        """Close the reading end of its output, as a closed terminal or `head` does."""
        self._closing.set()
        self._reader.join(WAIT_SECONDS)

    def pids(self) -> dict[str, int]:
        """The pids that the stubs have printed, by name."""
        return {name: int(pid) for name, pid in re.findall(r"\b(\w{1,20}) started as (\d+)", self.output)}

    def wait_for_output(self, pattern: str, seconds: float = WAIT_SECONDS) -> re.Match[str]:
        """Wait for the pattern in the output."""
        wait_until_sync(
            lambda: re.search(pattern, self.output) or not self._reader.is_alive(), pattern, timeout_seconds=seconds
        )
        if match := re.search(pattern, self.output):
            return match
        raise AssertionError(f"the output ended without {pattern!r}: {self.output[-5000:]}")

    def ends(self, seconds: float = WAIT_SECONDS) -> int:
        """Wait for the end and return the exit status."""
        status = self.process.wait(seconds)
        self._reader.join(WAIT_SECONDS)
        return status

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def supervised(
    module: str, arguments: Sequence[str] = (), extra: Mapping[str, str] | None = None
) -> Iterator[Supervised]:
    """Start `python -m module`; it is killed at the end, and its children end shortly after."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.STDOUT,
    )
    os.close(writing)
    running = Supervised(process, reading)
    try:
        yield running
    finally:
        process.kill()
        running.ends()
