"""A service as a process, as in production: signals, exit status, log and metrics."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from local.environment import base_environment
from local.plan import ROOT
from tests.support.processor.stage import ProcessorStage, metrics_at
from tests.support.waiting import wait_until

HANDLER = "tests.support.processor.handlers:handle"
START_SECONDS = 20.0
STOP_SECONDS = 20.0


class ServiceProcess:
    """Runs `python -m services.<name>` with a parent watch, so that it always ends with the test run."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path) -> None:
        self._module = f"services.{name}"
        self.ops_url = f"http://127.0.0.1:{environment['OPS_PORT']}"
        self._environment = environment
        self._log = folder / f"{name}-{environment['OPS_PORT']}.log"
        self._parent_watch, self._write_end = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.parent_watch", str(self._parent_watch), self._module],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._parent_watch],
            )

    async def ready(self) -> None:
        await wait_until(self._is_ready, timeout_seconds=START_SECONDS)

    def resident_mib(self) -> float:
        """The bytes of memory that it uses now; 0 once it has ended. Linux only."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end and return the exit status, negative for a signal."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)

    async def metrics(self) -> dict[str, float]:
        return await metrics_at(self.ops_url)

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def logged(self, **fields: Any) -> list[dict[str, Any]]:
        """Log lines with these fields."""
        return [line for line in self._lines() if all(line.get(name) == value for name, value in fields.items())]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        os.close(self._write_end)
        os.close(self._parent_watch)

    async def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"ended with {self._process.returncode}: {self.output()[-3000:]}")
        try:
            async with ClientSession() as session, session.get(f"{self.ops_url}/readyz") as answer:
                return answer.status == 200
        except ClientError:
            return False

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.output().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def processor_process(
    stage: ProcessorStage, folder: Path, *, ready: bool = True, **environment: Any
) -> AsyncIterator[ServiceProcess]:
    """A processor that works on the stage's queue with the handler of `processor_handlers`."""
    settings = {**stage.environment(), "TASK_HANDLER": HANDLER, **environment}
    async with service_process("processor", settings, folder, ready=ready) as process:
        yield process


@asynccontextmanager
async def service_process(
    name: str, settings: dict[str, str], folder: Path, *, ready: bool = True
) -> AsyncIterator[ServiceProcess]:
    """A service with these settings and nothing of the developer's; its operations port is a free one."""
    process = ServiceProcess(name, {**base_environment(os.environ), "OPS_PORT": str(free_port()), **settings}, folder)
    try:
        process.start()
        if ready:
            await process.ready()
        yield process
    finally:
        process.close()
