"""Which processors do no work, and whether any revision of them does.

A Deployment that rolls out has pods of two revisions. While one of them works, the Deployment is scaled as always, and
Kubernetes gives each revision its share of the pods.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from k8s.operator.api.scrape import Scraped
from k8s.operator.api.workloads import Pod, Workload

STARTING_SECONDS = 10.0
"""So long after its start a processor is expected to be not ready."""
CRASHES = "a container of it keeps dying"


class FaultKind(IntEnum):
    """Why a processor does no work; the lowest is named where two are equally frequent."""

    CRASHING = 0
    CANNOT_START = 1
    CANNOT_RECEIVE = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one processor, or with all of them."""

    kind: FaultKind
    cause: str


def faults_of(pods: Iterable[Pod], cannot_receive: Mapping[str, str]) -> dict[str, Fault]:
    """What is wrong with each pod that does no work, by name. One that runs and says why does not crash."""
    faults = {}
    for pod in pods:
        if cause := cannot_receive.get(pod.name):
            faults[pod.name] = Fault(FaultKind.CANNOT_RECEIVE, cause)
        elif pod.cannot_start:
            faults[pod.name] = Fault(FaultKind.CANNOT_START, pod.cannot_start)
        elif pod.crashing:
            faults[pod.name] = Fault(FaultKind.CRASHING, CRASHES)
    return faults


def fault_of_all(pods: Iterable[Pod], faults: Mapping[str, Fault]) -> Fault | None:
    """The most frequent fault where no revision works; None while one does."""
    revisions: dict[str, list[Pod]] = {}
    for pod in pods:
        revisions.setdefault(pod.revision, []).append(pod)
    if not revisions or not all(_is_broken(its_pods, faults) for its_pods in revisions.values()):
        return None
    kinds = [fault.kind for fault in faults.values()]
    kind = min(set(kinds), key=lambda each: (-kinds.count(each), each))
    causes = [fault.cause for fault in faults.values() if fault.kind is kind]
    return Fault(kind, min(set(causes), key=lambda each: (-causes.count(each), each)))


def _is_broken(pods: list[Pod], faults: Mapping[str, Fault]) -> bool:
    """Half of a revision that crashes is enough. While half of it receives tasks, or any can start, those count.

    Whether it receives tasks is judged by the pods that have started. Pods that wait for a node show nothing.
    """
    pods = [pod for pod in pods if not pod.waits_for_node]
    kinds = [faults[pod.name].kind for pod in pods if pod.name in faults]
    started = sum(pod.ready or pod.name in faults for pod in pods)
    works = any(pod.ready and pod.name not in faults for pod in pods)
    return bool(kinds) and (
        2 * kinds.count(FaultKind.CRASHING) >= len(pods)
        or 2 * kinds.count(FaultKind.CANNOT_RECEIVE) > started
        or (2 * len(kinds) >= len(pods) and not works)
    )


_FIGURES: dict[FaultKind, Callable[[str], dict[str, Any]]] = {
    FaultKind.CRASHING: lambda _: {"crash_looping": True},
    FaultKind.CANNOT_START: lambda cause: {"cannot_start": cause},
    FaultKind.CANNOT_RECEIVE: lambda cause: {"receives_nothing": cause},
}


def health(pods: list[Pod], cannot_receive: dict[str, str], workload: Workload | None) -> dict[str, Any]:
    """What `Observed` says about processors that do no work."""
    faults = faults_of(pods, cannot_receive)
    if not faults:
        return {}
    if fault := fault_of_all(pods, faults):
        return _FIGURES[fault.kind](fault.cause)
    rolls_out = len({pod.revision for pod in pods}) > 1
    causes = ", ".join(sorted({fault.cause for fault in faults.values()}))
    return {
        "working_share": 1 - len(faults) / len(pods),
        "max_surge": workload.max_surge if workload and rolls_out else "0",
        "not_working": f"{len(faults)} of {len(pods)} processors do not work: {causes}",
    }


def why_not_receiving(pods: list[Pod], scraped: dict[str, Scraped]) -> dict[str, str]:
    """Why each of those that receive no tasks does not, by pod."""
    causes = {pod.name: _why_it_receives_nothing(pod, scraped[pod.name]) for pod in pods if pod.name in scraped}
    return {name: cause for name, cause in causes.items() if cause}


def _why_it_receives_nothing(pod: Pod, scraped: Scraped) -> str:
    if scraped.is_paused:
        return scraped.reasons.get("receiving") or "receiving is paused"
    is_new = pod.runs_since is None or (datetime.now(UTC) - pod.runs_since).total_seconds() < STARTING_SECONDS
    if not scraped.is_unready or is_new:
        return ""
    # "service" says that it starts or stops, "breaker" that its first notification is still being tried.
    return "; ".join(reason for name, reason in sorted(scraped.reasons.items()) if name not in ("service", "breaker"))
