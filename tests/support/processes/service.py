"""A service as a process, as in production: signals, exit status, log and metrics."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psutil

from local.ports import Ports
from tests.support.ports import free_port_base
from tests.support.processes.child import Child, python
from tests.support.processes.probes import get
from tests.support.processor.stage import ProcessorStage, metrics_at

HANDLER = "tests.support.processor.handlers:handle"


class ServiceProcess(Child):
    """A process of a service; `url` is its API, if it has one, and `ops_url` its operations port."""

    def __init__(self, module: str, environment: Mapping[str, str], folder: Path) -> None:
        self.port = int(environment["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.ops_url = f"http://127.0.0.1:{environment['OPS_PORT']}"
        super().__init__(python(module), environment, folder / f"{module}-{environment['OPS_PORT']}.log")

    async def ready(self) -> None:
        await asyncio.to_thread(self.wait_until_ready, f"{self.ops_url}/readyz")

    def listens(self) -> bool:
        """Whether its API accepts connections."""
        try:
            get(self.url + "/nothing-there")
        except OSError as error:
            return isinstance(error, HTTPError)
        return True

    def resident_mib(self) -> float:
        """The memory that it uses now, in MiB; 0 once it has ended."""
        try:
            return float(psutil.Process(self.pid).memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            return 0.0

    async def metrics(self) -> dict[str, float]:
        return await metrics_at(self.ops_url)

    def lines(self) -> list[dict[str, Any]]:
        """Its log; anything else in its output fails the test."""
        return [json.loads(line) for line in self.output().splitlines()]

    def logged(self, **fields: Any) -> list[dict[str, Any]]:
        """Log lines with these fields."""
        lines = [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]
        return [line for line in lines if all(line.get(name) == value for name, value in fields.items())]


@asynccontextmanager
async def processor_process(
    stage: ProcessorStage, folder: Path, *, ready: bool = True, **environment: Any
) -> AsyncIterator[ServiceProcess]:
    """A processor that works on the stage's queue with the handler of `processor_handlers`."""
    settings = {**stage.environment(), "TASK_HANDLER": HANDLER, **environment}
    async with service_process("services.processor", settings, folder, ready=ready) as process:
        yield process


@asynccontextmanager
async def service_process(
    module: str, settings: Mapping[str, str], folder: Path, *, ready: bool = True
) -> AsyncIterator[ServiceProcess]:
    """Run `python -m module` with these settings, on free ports unless they name others; it is killed at the end."""
    ports = Ports(free_port_base())
    own = {"STAGE_NAME": "test", "HOST": "127.0.0.1", "PORT": str(ports.token), "OPS_PORT": str(ports.token_ops)}
    process = ServiceProcess(module, {**own, **settings}, folder)
    process.start()
    try:
        if ready:
            await process.ready()
        yield process
    finally:
        process.kill()
