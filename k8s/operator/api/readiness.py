"""Reads /readyz of pods: a small response, so that every pod can be read every few seconds."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from k8s.operator.api.pod_client import ANSWER_SECONDS, OPS_PORT, PodClient, one_line
from k8s.operator.api.pod_state import PodState
from k8s.operator.api.reasons import DegradedReason

MAX_BYTES = 64 * 1024
MAX_CONCURRENT = 64
"""Enough to time out on a hundred pods of a lost node within one period of the health loop."""
REASON_BY_CAUSE = {
    "momento_key_refused": DegradedReason.MOMENTO_KEY_REFUSED,
    "momento_cache_missing": DegradedReason.MOMENTO_CACHE_MISSING,
    "momento_quota": DegradedReason.MOMENTO_QUOTA_EXCEEDED,
    "momento_unreachable": DegradedReason.MOMENTO_UNREACHABLE,
    "queue_missing": DegradedReason.QUEUE_MISSING,
    "queue_denied": DegradedReason.QUEUE_ACCESS_DENIED,
    "queue_unreachable": DegradedReason.QUEUE_UNREACHABLE,
    "parameter_missing": DegradedReason.PARAMETER_MISSING,
    "parameter_unreadable": DegradedReason.PARAMETER_UNREADABLE,
    "tasks_failing": DegradedReason.TASKS_FAILING,
}
"""Causes that services report (services/common/telemetry/faults.py), and the reasons of conditions."""


@dataclass(frozen=True, slots=True)
class ReportedFault:
    """A fault that a pod reports."""

    reason: DegradedReason
    message: str
    is_blocking: bool


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """The response of a pod, or why there is none."""

    error: str = ""
    """Empty if it answered."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why the pod is not ready, by component."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[ReportedFault, ...] = ()

    @property
    def paused_because(self) -> str:
        """Why a processor receives no tasks; empty if it does."""
        return self.warnings.get("receiving", "")


class ReadinessClient(PodClient):
    """One for all stages. Use as an async context manager."""

    def __init__(self, port: int = OPS_PORT, timeout_seconds: float = ANSWER_SECONDS) -> None:
        super().__init__(port=port, timeout_seconds=timeout_seconds, max_concurrent=MAX_CONCURRENT, max_bytes=MAX_BYTES)

    async def read_all(self, pods: Iterable[PodState]) -> dict[str, ReadinessReport]:
        """Read all running pods concurrently. Returns the reports by pod."""
        running = [pod for pod in pods if pod.ip and pod.runs_since and pod.is_of_release and not pod.terminating]
        reports = await asyncio.gather(*(self._read(str(pod.ip)) for pod in running))
        return {pod.name: report for pod, report in zip(running, reports, strict=True)}

    async def _read(self, ip: str) -> ReadinessReport:
        try:
            _, body = await self.get(ip, "/readyz")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return ReadinessReport(error=one_line(error) or "no answer in time")
        return parse_readiness(body)


def parse_readiness(body: bytes) -> ReadinessReport:
    """Parse a response. Anything else than a /readyz response gives an empty report, not a problem of the pod."""
    try:
        answer = orjson.loads(body)
        return ReadinessReport(
            reasons=_texts(answer.get("reasons")),
            warnings=_texts(answer.get("warnings")),
            faults=tuple(_fault(each) for each in answer.get("faults") or [] if each.get("cause") in REASON_BY_CAUSE),
        )
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return ReadinessReport()


def _texts(value: Any) -> dict[str, str]:
    return {name: one_line(text) for name, text in (value or {}).items() if isinstance(text, str)}


def _fault(value: Any) -> ReportedFault:
    return ReportedFault(
        REASON_BY_CAUSE[value["cause"]],
        one_line(value.get("message", "")),
        is_blocking=value.get("blocking") is not False,
    )
