"""Problems of one Deployment: its pods, what they report about dependencies, and its rollout."""

from collections.abc import Iterator

from k8s.operator.api.pod_state import PodFault, PodState
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.releases import DeploymentState
from k8s.operator.api.workloads import PROCESSOR
from k8s.operator.health.problems import Problem
from k8s.operator.health.snapshot import Snapshot, is_blocked

STARTING_SECONDS = 60.0
"""A pod that is not ready after this time is a problem by itself."""
STABLE_SECONDS = 12.0
"""A pod that has crashed repeatedly has to run this long before it counts as healthy."""
REPORTING_SECONDS = 10.0
"""During this time after its start a pod may report a reason for not being ready: it is still reading what it needs."""


def deployment_problems(snapshot: Snapshot, deployment: DeploymentState) -> list[Problem]:
    """Find the problems of one Deployment."""
    if deployment.component != PROCESSOR and deployment.replicas == 0:
        message = (
            f"{deployment.name}: scaled to 0 replicas; to restore: "
            f"kubectl scale deployment {deployment.name} -n {snapshot.release.namespace} --replicas=2"
        )
        return [Problem(DegradedReason.SCALED_TO_ZERO, message, affects_users=True)]
    is_down = not _is_serving(snapshot, deployment)
    found = [
        *_pod_problems(snapshot, deployment, is_down=is_down),
        *_dependency_problems(snapshot, deployment, is_down=is_down),
        *_silent_pods(snapshot, deployment),
    ]
    if deployment.deadline_exceeded and not found:
        message = f"{snapshot.counts(deployment)}: the rollout makes no progress: {deployment.deadline_exceeded}"
        found.append(Problem(DegradedReason.ROLLOUT_STUCK, message))
    return found


def _is_serving(snapshot: Snapshot, deployment: DeploymentState) -> bool:
    """Whether a pod does its work. A processor that starts counts, since processors are scaled from zero."""
    pods = snapshot.pods(deployment.component)
    working = [pod for pod in pods if pod.ready and not is_blocked(snapshot.report(pod))]
    # If ready pods do not work, one that starts is not expected to work either.
    if deployment.component != PROCESSOR or (deployment.replicas and any(pod.ready for pod in pods)):
        return bool(working)
    starting = [pod for pod in pods if not pod.ready and _unready_cause(snapshot, pod) is None]
    is_expected = not pods and not deployment.replica_failure
    return bool(working or starting or is_expected or not deployment.replicas)


def _pod_problems(snapshot: Snapshot, deployment: DeploymentState, *, is_down: bool) -> Iterator[Problem]:
    counts = snapshot.counts(deployment)
    pods, ready = snapshot.pods(deployment.component), snapshot.ready_pods(deployment.component)
    faults = dict.fromkeys(fault for pod in pods if (fault := _fault(snapshot, pod)) is not None)
    for fault in faults:
        # A probe that fails may succeed the next time; all other faults last.
        is_certain = fault.reason is not DegradedReason.PODS_NOT_READY
        yield Problem(fault.reason, f"{counts}: {fault.detail}", affects_users=is_down, is_certain=is_certain)
    if deployment.replica_failure:
        yield _refused_pods(deployment, counts, is_down=is_down)
    elif not faults and len(ready) < deployment.replicas and _was_full(snapshot, deployment):
        message = f"{counts}: a replacement is starting"
        yield Problem(DegradedReason.PODS_NOT_READY, message, affects_users=is_down, is_certain=False)


def _was_full(snapshot: Snapshot, deployment: DeploymentState) -> bool:
    """Whether all pods of this version have been ready, so that a missing one was lost and is no rollout."""
    return snapshot.full_versions.get(deployment.component) == deployment.version


def _refused_pods(deployment: DeploymentState, counts: str, *, is_down: bool) -> Problem:
    detail = deployment.replica_failure
    # `pods "dev-token-7d4-abcde" is forbidden: exceeded quota: …`: the pod's name differs each time.
    for mark in ("exceeded quota: ", "is forbidden: "):
        if mark in detail:
            detail = mark.removeprefix("is forbidden: ") + detail.split(mark, 1)[1]
            break
    is_quota = detail.startswith("exceeded quota")
    reason = DegradedReason.QUOTA_EXCEEDED if is_quota else DegradedReason.PODS_REFUSED
    return Problem(reason, f"{counts}: {detail}", affects_users=is_down)


def _fault(snapshot: Snapshot, pod: PodState) -> PodFault | None:
    """Return why a pod is not ready. One that crashes soon after each start is faulty also while it is ready."""
    if not pod.ready:
        return _unready_cause(snapshot, pod)
    return pod.repeated_crash if _running_seconds(snapshot, pod) < STABLE_SECONDS else None


def _unready_cause(snapshot: Snapshot, pod: PodState) -> PodFault | None:
    """Return why a pod is not ready; None while it only starts."""
    report = snapshot.report(pod)
    blocking = next((fault for fault in report.faults if fault.is_blocking), None)
    if pod.fault is not None and not (pod.fault.reason is DegradedReason.CRASH_LOOPING and blocking):
        return pod.fault
    if blocking:
        return PodFault(blocking.reason, blocking.message)
    reported = "; ".join(text for name, text in sorted(report.reasons.items()) if name != "service")
    if reported and (pod.lost_readiness or _running_seconds(snapshot, pod) > REPORTING_SECONDS):
        return PodFault(DegradedReason.PODS_NOT_READY, reported)
    command = f"kubectl describe pod {pod.name}"
    if pod.lost_readiness:
        return PodFault(DegradedReason.PODS_NOT_READY, f"pod {pod.name} is no longer ready: {command}")
    if (snapshot.now - pod.created_at).total_seconds() <= STARTING_SECONDS:
        return None
    waits = f" ({pod.waits_for})" if pod.waits_for else ""
    detail = f"pod {pod.name} is not ready after {STARTING_SECONDS:.0f} s{waits}: {command}"
    return PodFault(DegradedReason.PODS_NOT_READY, detail)


def _running_seconds(snapshot: Snapshot, pod: PodState) -> float:
    return (snapshot.now - pod.runs_since).total_seconds() if pod.runs_since else 0.0


def _dependency_problems(snapshot: Snapshot, deployment: DeploymentState, *, is_down: bool) -> Iterator[Problem]:
    """One problem for each reason that ready pods report, however many of them report it."""
    for reason, message in _reported_faults(snapshot, deployment.component).items():
        affects_users = is_down and reason is not DegradedReason.TASKS_FAILING
        yield Problem(reason, f"{deployment.name}: {message}", affects_users=affects_users)


def _reported_faults(snapshot: Snapshot, component: str) -> dict[DegradedReason, str]:
    found: dict[DegradedReason, str] = {}
    for pod in sorted(snapshot.ready_pods(component), key=lambda pod: pod.name):
        report = snapshot.report(pod)
        paused = "receiving is paused: " if report.paused_because else ""
        for fault in report.faults:
            is_momento = fault.reason.startswith("Momento")
            found.setdefault(fault.reason, f"{paused if is_momento else ''}{fault.message}")
        if paused and not any(fault.reason.startswith("Momento") for fault in report.faults):
            found.setdefault(DegradedReason.RECEIVING_PAUSED, f"{paused}{report.paused_because}")
    return found


def _silent_pods(snapshot: Snapshot, deployment: DeploymentState) -> Iterator[Problem]:
    silent = [pod for pod in snapshot.ready_pods(deployment.component) if snapshot.report(pod).error]
    if silent:
        share, error = f"{len(silent)} of {deployment.replicas}", snapshot.report(silent[0]).error
        message = f"{deployment.name}: {share} pods do not answer the operator on port 9090: {error}"
        yield Problem(DegradedReason.PODS_NOT_ANSWERING, message, is_certain=False)
