"""What pods say of themselves at /readyz: a small answer, so that every pod can be asked every few seconds."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from k8s.operator.api.pod_client import ANSWER_SECONDS, OPS_PORT, PodClient, one_line
from k8s.operator.health.pods import PodState
from k8s.operator.health.problems import Reason

MAX_BYTES = 64 * 1024
MAX_CONCURRENT = 64
"""A hundred pods of a node that is lost are asked in vain within one period of the health loop."""
REASONS = {
    "momento_key_refused": Reason.MOMENTO_KEY_REFUSED,
    "momento_cache_missing": Reason.MOMENTO_CACHE_MISSING,
    "momento_quota": Reason.MOMENTO_QUOTA_EXCEEDED,
    "momento_unreachable": Reason.MOMENTO_UNREACHABLE,
    "queue_missing": Reason.QUEUE_MISSING,
    "queue_denied": Reason.QUEUE_ACCESS_DENIED,
    "queue_unreachable": Reason.QUEUE_UNREACHABLE,
    "parameter_missing": Reason.PARAMETER_MISSING,
    "parameter_unreadable": Reason.PARAMETER_UNREADABLE,
    "tasks_failing": Reason.TASKS_FAILING,
}
"""The services' causes (services/common/telemetry/faults.py) and the conditions' reasons."""


@dataclass(frozen=True, slots=True)
class ReportedFault:
    """A fault that a pod reports."""

    reason: Reason
    message: str
    is_blocking: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod answered, or why there is nothing."""

    error: str = ""
    """Empty where it answered."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why it is not ready, by component."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[ReportedFault, ...] = ()

    @property
    def paused_because(self) -> str:
        """Why a processor receives no tasks; empty where it does."""
        return self.warnings.get("receiving", "")


class Asker:
    """One for all stages. Use as a context manager."""

    def __init__(self, port: int = OPS_PORT, timeout_seconds: float = ANSWER_SECONDS) -> None:
        self._pods = PodClient(
            port=port, timeout_seconds=timeout_seconds, max_concurrent=MAX_CONCURRENT, max_bytes=MAX_BYTES
        )

    async def __aenter__(self) -> Self:
        await self._pods.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pods.__aexit__(kind, error, trace)

    async def all(self, pods: Iterable[PodState]) -> dict[str, Answer]:
        """Ask those that run, at the same time; answers by pod."""
        asked = [pod for pod in pods if pod.ip and pod.runs_since and pod.is_of_release and not pod.terminating]
        answers = await asyncio.gather(*(self._one(str(pod.ip)) for pod in asked))
        return {pod.name: answer for pod, answer in zip(asked, answers, strict=True)}

    async def _one(self, ip: str) -> Answer:
        try:
            _, body = await self._pods.get(ip, "/readyz")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(error=one_line(error) or "no answer in time")
        return parsed(body)


def parsed(body: bytes) -> Answer:
    """Read an answer. What is no answer of /readyz says nothing, which is no reason to call a pod broken."""
    try:
        answer = orjson.loads(body)
        return Answer(
            reasons=_texts(answer.get("reasons")),
            warnings=_texts(answer.get("warnings")),
            faults=tuple(_fault(each) for each in answer.get("faults") or [] if each.get("cause") in REASONS),
        )
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return Answer()


def _texts(value: Any) -> dict[str, str]:
    return {str(name): one_line(text) for name, text in (value or {}).items()}


def _fault(value: Any) -> ReportedFault:
    return ReportedFault(
        REASONS[value["cause"]],
        one_line(value.get("message", "")),
        is_blocking=value.get("blocking") is not False,
    )
