"""Which processors do no work, and whether any revision of them does.

A Deployment that rolls out has pods of two revisions. While one of them works, the Deployment is scaled as always, and
Kubernetes gives each revision its share of the pods.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from k8s.operator.workloads import Pod

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
    """Half of a revision that crashes is enough. While half of it receives tasks, or any can start, those count."""
    kinds = [faults[pod.name].kind for pod in pods if pod.name in faults]
    works = any(pod.ready and pod.name not in faults for pod in pods)
    return (
        2 * kinds.count(FaultKind.CRASHING) >= len(pods)
        or 2 * kinds.count(FaultKind.CANNOT_RECEIVE) > len(pods)
        or (2 * len(kinds) >= len(pods) and not works)
    )
