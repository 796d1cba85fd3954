"""Reads the metrics of pods from their operations ports."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from k8s.operator.api.pod_client import ANSWER_SECONDS, OPS_PORT, PodClient, one_line
from k8s.operator.api.readiness import parse_readiness

MAX_BYTES = 2 * 1024 * 1024
"""With 50 task types a processor's page has about 800 kB."""
MAX_FIGURE = 1e15
"""Larger values are rejected: all figures count tasks or seconds."""
MAX_CONCURRENT = 16
PREFIX = "notification_api_"
# Of about 300 lines only these are parsed, since parsing is most of the cost of a scrape.
NAMES = (
    "tasks_accepted_total",
    "tasks_available_total",
    "tasks_in_process",
    "tasks_waiting",
    "slots",
    "receiving_paused",
    "ready",
    "task_duration_seconds_sum",
    "task_duration_seconds_count",
    "queue_wait_seconds_sum",
    "queue_wait_seconds_count",
)
LONG_TASK_BOUNDS = (5.2, 11.0, 24.0, 65.0, 320.0)
"""Buckets of the task duration that are read. One of them shows whether tasks outlast a drain."""
_BUCKETS = tuple(f'le="{bound}"' for bound in LONG_TASK_BOUNDS)
_BUCKET = PREFIX + "task_duration_seconds_bucket"
_WANTED = tuple(PREFIX + name for name in NAMES)

Series = tuple[str, tuple[tuple[str, str], ...]]
"""Name of a sample without prefix, and its labels in order."""
Sample = Mapping[Series, float]


@dataclass(frozen=True, slots=True)
class Target:
    """A pod to read."""

    pod: str
    ip: str


@dataclass(frozen=True, slots=True)
class Scraped:
    """The metrics of a pod, or why there are none."""

    pod: str
    sample: Sample | None
    error: str = ""
    is_closed: bool = False
    """Nothing listens on the port: the process has not started yet or has ended, so it has no tasks in process."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Reasons and warnings of /readyz by component; read only if the pod is paused or not ready."""

    @property
    def is_paused(self) -> bool:
        """Whether it receives no tasks because notifications cannot be published."""
        return (self.sample or {}).get(("receiving_paused", ()), 0) > 0

    @property
    def is_unready(self) -> bool:
        """Whether it reports that it is not ready. Kubernetes learns that later."""
        return (self.sample or {}).get(("ready", ()), 1) == 0


class Scraper(PodClient):
    """One for all stages. Use as an async context manager."""

    def __init__(self, port: int = OPS_PORT, timeout_seconds: float = ANSWER_SECONDS) -> None:
        super().__init__(port=port, timeout_seconds=timeout_seconds, max_concurrent=MAX_CONCURRENT, max_bytes=MAX_BYTES)

    async def read_all(self, targets: Iterable[Target]) -> list[Scraped]:
        """Read all of them concurrently."""
        return list(await asyncio.gather(*(self._read(target) for target in targets)))

    async def _read(self, target: Target) -> Scraped:
        try:
            status, body = await self.get(target.ip, "/metrics")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Scraped(target.pod, None, one_line(error) or "no answer in time", is_closed=_is_refusal(error))
        if status != 200:
            return Scraped(target.pod, None, f"answered {status}")
        if len(body) > MAX_BYTES:
            return Scraped(target.pod, None, f"answered with more than {MAX_BYTES} bytes")
        scraped = parse_metrics(target.pod, body)
        if scraped.is_paused or scraped.is_unready:
            return replace(scraped, reasons=await self._read_reasons(target))
        return scraped

    async def _read_reasons(self, target: Target) -> Mapping[str, str]:
        """Return an empty mapping on failure: the metrics have been read anyway."""
        try:
            _, body = await self.get(target.ip, "/readyz")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return {}
        report = parse_readiness(body)
        return {**report.reasons, **report.warnings}


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError)


def parse_metrics(pod: str, body: bytes) -> Scraped:
    """Parse the wanted samples of the text format."""
    try:
        lines = [line for line in body.decode().splitlines() if line.startswith(_WANTED) or _is_wanted_bucket(line)]
        families = text_string_to_metric_families("\n".join(lines) + "\n")
        sample = {
            (one.name.removeprefix(PREFIX), tuple(sorted(one.labels.items()))): float(one.value)
            for family in families
            for one in family.samples
        }
    except (ValueError, IndexError) as error:
        return Scraped(pod, None, one_line(f"answered with something other than metrics: {error}"))
    for (name, _), value in sample.items():
        if not 0 <= value <= MAX_FIGURE:  # also rejects NaN
            return Scraped(pod, None, f"answered with {name} of {value}")
    return Scraped(pod, sample)


def _is_wanted_bucket(line: str) -> bool:
    return line.startswith(_BUCKET) and any(bound in line for bound in _BUCKETS)
