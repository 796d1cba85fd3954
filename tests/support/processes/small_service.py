"""A service as a process, with its API and operations port on free ports, and its output."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError

from local.environment import base_environment
from local.plan import ROOT
from local.supervisor.port_check import is_taken
from tests.support.processes.supervised import get
from tests.support.waiting import wait_until_sync

STOP_SECONDS = 20.0


def free_ports() -> tuple[int, int]:
    """Two free ports below the system's range of client ports."""
    while True:
        port = random.randrange(12_000, 30_000)
        if not is_taken(port) and not is_taken(port + 1):
            return port, port + 1


class SmallProcess:
    """A running service; `output` is what it has written so far."""

    def __init__(self, process: subprocess.Popen[str], port: int, ops_port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.ops_url = f"http://127.0.0.1:{ops_port}"
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.output += line

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log; anything else in its output fails the test."""
        return [json.loads(line) for line in self.output.splitlines()]

    def wait_for_output(self, text: str) -> None:
        """Wait until its output has this text, but not beyond its end."""
        wait_until_sync(lambda: text in self.output or not self._reader.is_alive(), lambda: self.output[-3_000:])
        assert text in self.output, self.output[-3_000:]

    def listens(self) -> bool:
        """Whether its API accepts connections."""
        try:
            get(self.url + "/nothing-there")
        except OSError as error:
            return isinstance(error, HTTPError)
        return True

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ends(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return its exit status."""
        status = self.process.wait(seconds)
        self._reader.join(seconds)
        return status


@contextmanager
def small_process(
    module: str, environment: Mapping[str, str], *, ports: tuple[int, int] | None = None
) -> Iterator[SmallProcess]:
    """Run `python -m module`; it is killed at the end if it still runs."""
    port, ops_port = ports or free_ports()
    own = {"STAGE_NAME": "test", "HOST": "127.0.0.1", "PORT": str(port), "OPS_PORT": str(ops_port)}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**base_environment(os.environ), **own, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = SmallProcess(process, port, ops_port)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.ends()
        if process.stdout is not None:
            process.stdout.close()
