"""Which pods of the processor do not work, and whether any revision of it works.

During a rollout a Deployment has pods of two revisions. While one revision works, the Deployment is scaled as usual,
and Kubernetes gives each revision its share of the pods.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from k8s.operator.api.scrape import Scraped
from k8s.operator.api.workloads import Pod, Workload

STARTING_SECONDS = 10.0
"""A processor may be not ready for this time after its start."""
CRASHES = "its containers keep crashing"


class FaultKind(IntEnum):
    """Why a pod does not work. Of two that are equally frequent, the lower one is reported."""

    CRASHING = 0
    CANNOT_START = 1
    CANNOT_RECEIVE = 2


@dataclass(frozen=True, slots=True)
class PodFault:
    """Why one pod, or every pod, does not work."""

    kind: FaultKind
    cause: str


def pod_faults(pods: Iterable[Pod], not_receiving_pods: Mapping[str, str]) -> dict[str, PodFault]:
    """The faults of pods that do not work, by name. A pod that answers why it receives no tasks does not crash."""
    faults = {}
    for pod in pods:
        if cause := not_receiving_pods.get(pod.name):
            faults[pod.name] = PodFault(FaultKind.CANNOT_RECEIVE, cause)
        elif pod.cannot_start:
            faults[pod.name] = PodFault(FaultKind.CANNOT_START, pod.cannot_start)
        elif pod.crashing:
            faults[pod.name] = PodFault(FaultKind.CRASHING, CRASHES)
    return faults


def common_fault(pods: Iterable[Pod], faults: Mapping[str, PodFault]) -> PodFault | None:
    """The most frequent fault if no revision works, else None."""
    revisions: dict[str, list[Pod]] = {}
    for pod in pods:
        revisions.setdefault(pod.revision, []).append(pod)
    if not revisions or not all(_is_broken(its_pods, faults) for its_pods in revisions.values()):
        return None
    kinds = [fault.kind for fault in faults.values()]
    kind = min(set(kinds), key=lambda each: (-kinds.count(each), each))
    causes = [fault.cause for fault in faults.values() if fault.kind is kind]
    return PodFault(kind, min(set(causes), key=lambda each: (-causes.count(each), each)))


def _is_broken(pods: list[Pod], faults: Mapping[str, PodFault]) -> bool:
    """Whether a revision does not work. Pods that wait for a node are ignored. It does not work if

    - half of its pods crash, or
    - more than half of the pods that have started receive no tasks, or
    - half of its pods have a fault and none works.
    """
    pods = [pod for pod in pods if not pod.waits_for_node]
    kinds = [faults[pod.name].kind for pod in pods if pod.name in faults]
    started = sum(pod.ready or pod.name in faults for pod in pods)
    any_works = any(pod.ready and pod.name not in faults for pod in pods)
    return bool(kinds) and (
        2 * kinds.count(FaultKind.CRASHING) >= len(pods)
        or 2 * kinds.count(FaultKind.CANNOT_RECEIVE) > started
        or (2 * len(kinds) >= len(pods) and not any_works)
    )


_FIELDS: dict[FaultKind, Callable[[str], dict[str, Any]]] = {
    FaultKind.CRASHING: lambda _: {"crash_looping": True},
    FaultKind.CANNOT_START: lambda cause: {"cannot_start": cause},
    FaultKind.CANNOT_RECEIVE: lambda cause: {"cannot_receive": cause},
}


def fault_fields(pods: list[Pod], not_receiving_pods: Mapping[str, str], workload: Workload | None) -> dict[str, Any]:
    """The fields of `Observed` about pods that do not work."""
    faults = pod_faults(pods, not_receiving_pods)
    if not faults:
        return {}
    if fault := common_fault(pods, faults):
        return _FIELDS[fault.kind](fault.cause)
    is_rolling_out = len({pod.revision for pod in pods}) > 1
    causes = ", ".join(sorted({fault.cause for fault in faults.values()}))
    return {
        "working_share": 1 - len(faults) / len(pods),
        "max_surge": workload.max_surge if workload and is_rolling_out else "0",
        "fault_summary": f"{len(faults)} of {len(pods)} processors do not work: {causes}",
    }


def not_receiving(pods: list[Pod], scraped: dict[str, Scraped]) -> dict[str, str]:
    """The pods that receive no tasks, each with the cause."""
    causes = {pod.name: _receive_problem(pod, scraped[pod.name]) for pod in pods if pod.name in scraped}
    return {name: cause for name, cause in causes.items() if cause}


def _receive_problem(pod: Pod, scraped: Scraped) -> str:
    if scraped.is_paused:
        return scraped.reasons.get("receiving") or "receiving is paused"
    is_new = pod.runs_since is None or (datetime.now(UTC) - pod.runs_since).total_seconds() < STARTING_SECONDS
    if not scraped.is_unready or is_new:
        return ""
    # "service": it starts or stops. "breaker": its first notification has not been published yet.
    return "; ".join(reason for name, reason in sorted(scraped.reasons.items()) if name not in ("service", "breaker"))
