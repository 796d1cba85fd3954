"""A service under measurement: its process, its metrics and its CPU time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.support.child import running, wait_until_ready
from benchmarks.support.processes import cpu_seconds, memory
from tests.support.ports import free_port
from tests.support.processes.child import Child, plain_python


@dataclass(frozen=True, slots=True)
class Account:
    """The CPU time and metrics of a process up to now."""

    cpu_seconds: float
    metrics: Mapping[str, float] = field(repr=False)
    """Counters by name, summed over their labels."""

    def __sub__(self, earlier: "Account") -> "Account":
        counted = {name: value - earlier.metrics.get(name, 0.0) for name, value in self.metrics.items()}
        return Account(self.cpu_seconds - earlier.cpu_seconds, counted)

    @property
    def sqs_calls(self) -> float:
        return self.metrics.get("notification_api_sqs_calls_total", 0.0)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    child: Child
    port: int
    ops_port: int

    async def account(self, *, begins: bool = False) -> Account:
        """Read CPU time and metrics.

        :param begins: whether a measurement begins: the CPU time is then read after the metrics, otherwise before
            them, so that reading the metrics is not measured.
        """
        used = cpu_seconds(self.child.pid)
        metrics = await self._metrics()
        return Account(cpu_seconds(self.child.pid) if begins else used, metrics)

    def memory_mb(self) -> float:
        """Return the resident memory in MB."""
        return memory(self.child.pid).rss

    async def _metrics(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.ops_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        summed: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    summed[sample.name] = summed.get(sample.name, 0.0) + sample.value
        return summed


@asynccontextmanager
async def service(module: str, environment: Mapping[str, str], log: Path) -> AsyncIterator[Service]:
    """Run `python -m module` for the duration of the context, once it is ready. Its output goes to a file."""
    port, ops_port = free_port(), free_port()
    settings = {
        "STAGE_NAME": "prod",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
        **environment,
    }
    async with running(plain_python(module), settings, log) as child:
        await wait_until_ready(child, f"http://127.0.0.1:{ops_port}/readyz")
        yield Service(child, port, ops_port)
