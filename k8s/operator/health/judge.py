"""From what is seen of a release to its problems, and to whether its users are served. Pure: no I/O, no memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from k8s.operator.api.workloads import PROCESSOR
from k8s.operator.health.answers import Answer
from k8s.operator.health.pods import PodFault, PodState
from k8s.operator.health.problems import Problem, Reason, Verdict, worst_first
from k8s.operator.health.releases import DeploymentState, Release

SERVING = ("ingest", "token")
COMPONENTS = (*SERVING, PROCESSOR)
STARTING_SECONDS = 60.0
"""So long may a pod start before that is a problem by itself."""
STAYS_SECONDS = 12.0
"""So long has a pod that has died again and again to run before it is taken to stay."""
PROCESSOR_REPORTS_SECONDS = 45.0
"""So long after the queue stopped answering every processor has seen a poll of it fail: one takes up to 30 s."""
REPORTING_SECONDS = 10.0
"""So long may a process that answers name a reason for not being ready: it has just begun to read what it needs."""
SERVED = Verdict(status=True, reason="Ready", message="token and ingest take requests, and tasks are processed")


@dataclass(frozen=True, slots=True)
class Seen:
    """A release at one moment."""

    release: Release
    answers: Mapping[str, Answer]
    """By pod."""
    now: datetime
    was_full: Mapping[str, int] = field(default_factory=dict)
    """By component: the Deployment's generation at which all of its pods have been ready."""
    queue_error: str = ""
    """Why the operator cannot read the task queue."""
    queue_error_seconds: float = 0.0
    """For how long that has been so."""
    scaling_error: str = ""
    """What the operator says where it cannot scale the processors."""

    def pods(self, component: str) -> list[PodState]:
        """Those that stay."""
        return [
            pod for pod in self.release.pods if pod.component == component and pod.is_of_release and not pod.terminating
        ]

    def ready(self, component: str) -> list[PodState]:
        return [pod for pod in self.pods(component) if pod.ready]

    def answer(self, pod: PodState) -> Answer:
        return self.answers.get(pod.name, Answer())


def problems(seen: Seen) -> list[Problem]:
    """Everything that is wrong, the worst first. A release of which nothing exists has no problems."""
    if not exists(seen.release):
        return []
    found = list(_missing(seen.release))
    for deployment in seen.release.deployments.values():
        if deployment.component in COMPONENTS:
            found += _of_component(seen, deployment)
    return worst_first([*found, *_of_queue(seen, found), *_of_scaling(seen)])


def exists(release: Release) -> bool:
    """Whether anything of it is there besides its outputs, which are the operator's."""
    others = (release.objects or frozenset()) - {f"ConfigMap/{release.name}-outputs"}
    return bool(release.deployments or release.pods or others)


def served(seen: Seen, found: Sequence[Problem]) -> Verdict:
    """The condition Ready: whether users are served, given the problems."""
    if not seen.release.deployments:
        return Verdict(status=False, reason="NoDeployments", message="the release has no Deployments")
    waiting = [
        _waiting(seen, seen.release.deployments[component], found)
        for component in SERVING
        if component in seen.release.deployments and not seen.ready(component)
    ]
    if waiting:
        return Verdict(status=False, reason="WaitingForPods", message="; ".join(waiting))
    for problem in worst_first(found):
        if problem.affects_users:
            return Verdict(status=False, reason=problem.reason, message=problem.message)
    return SERVED


def _waiting(seen: Seen, deployment: DeploymentState, found: Sequence[Problem]) -> str:
    counts = _counts(seen, deployment)
    known = [problem.message for problem in found if problem.message.startswith(f"{counts}: ")]
    return known[0] if known else counts


def _counts(seen: Seen, deployment: DeploymentState) -> str:
    return f"{deployment.name}: {len(seen.ready(deployment.component))} of {deployment.replicas} pods ready"


def _missing(release: Release) -> Iterator[Problem]:
    names = [f"Deployment {release.name}-{each}" for each in COMPONENTS if each not in release.deployments]
    affects_users = bool(names)
    if release.objects is not None:
        for kind, name in _needed(release):
            if f"{kind}/{name}" not in release.objects:
                names.append(f"{kind} {name}")
                affects_users = affects_users or kind == "Service"
    if names:
        yield Problem(
            Reason.OBJECT_MISSING,
            f"{', '.join(names)} {'does' if len(names) == 1 else 'do'} not exist; to restore:"
            f" helm upgrade {release.name} <chart> -n {release.namespace} --reuse-values",
            affects_users=affects_users,
            is_certain=False,
        )


def _needed(release: Release) -> Iterator[tuple[str, str]]:
    """What the chart names after release and component. A ServiceAccount may be given, and then is not the chart's."""
    for component in SERVING:
        yield "Service", f"{release.name}-{component}"
    for component in COMPONENTS:
        name = f"{release.name}-{component}"
        yield "ConfigMap", name
        deployment = release.deployments.get(component)
        if deployment is not None and deployment.service_account == name:
            yield "ServiceAccount", name


def _of_component(seen: Seen, deployment: DeploymentState) -> list[Problem]:
    if deployment.component != PROCESSOR and deployment.replicas == 0:
        message = f"{deployment.name}: scaled to 0 replicas; to restore: kubectl scale deployment {deployment.name}"
        return [
            Problem(Reason.SCALED_TO_ZERO, f"{message} -n {seen.release.namespace} --replicas=2", affects_users=True)
        ]
    is_down = not _is_serving(seen, deployment)
    found = [
        *_of_pods(seen, deployment, is_down=is_down),
        *_of_dependencies(seen, deployment, is_down=is_down),
        *_unanswered(seen, deployment),
    ]
    if deployment.deadline_exceeded and not found:
        message = f"{_counts(seen, deployment)}: the rollout makes no progress: {deployment.deadline_exceeded}"
        found.append(Problem(Reason.ROLLOUT_STUCK, message))
    return found


def _is_serving(seen: Seen, deployment: DeploymentState) -> bool:
    """Whether a pod does its work. A processor that starts is given time to: it came from zero a moment ago."""
    pods = seen.pods(deployment.component)
    working = [pod for pod in pods if pod.ready and not _is_blocked(seen.answer(pod))]
    # Beside ready pods that do not work, one that starts is not expected to.
    if deployment.component != PROCESSOR or (deployment.replicas and any(pod.ready for pod in pods)):
        return bool(working)
    starting = [pod for pod in pods if not pod.ready and _why(seen, pod) is None]
    awaited = not pods and not deployment.replica_failure
    return bool(working or starting or awaited or not deployment.replicas)


def _is_blocked(answer: Answer) -> bool:
    return bool(answer.paused_because) or any(fault.is_blocking for fault in answer.faults)


def _of_pods(seen: Seen, deployment: DeploymentState, *, is_down: bool) -> Iterator[Problem]:
    counts = _counts(seen, deployment)
    pods, ready = seen.pods(deployment.component), seen.ready(deployment.component)
    causes = dict.fromkeys(cause for pod in pods if (cause := _fault(seen, pod)) is not None)
    for cause in causes:
        # A probe that fails may succeed the next time; all other causes last.
        is_certain = cause.reason is not Reason.PODS_NOT_READY
        yield Problem(cause.reason, f"{counts}: {cause.detail}", affects_users=is_down, is_certain=is_certain)
    if deployment.replica_failure:
        yield _refused(deployment, counts, is_down=is_down)
    elif not causes and len(ready) < deployment.replicas and _was_full(seen, deployment):
        message = f"{counts}: a replacement starts"
        yield Problem(Reason.PODS_NOT_READY, message, affects_users=is_down, is_certain=False)


def _was_full(seen: Seen, deployment: DeploymentState) -> bool:
    """Pods of this very revision and number have been ready, so what lacks was lost and is no rollout."""
    return deployment.is_observed and seen.was_full.get(deployment.component) == deployment.generation


def _refused(deployment: DeploymentState, counts: str, *, is_down: bool) -> Problem:
    detail = deployment.replica_failure
    # `pods "dev-token-7d4-abcde" is forbidden: exceeded quota: …`: the name is another each time.
    for mark in ("exceeded quota: ", "is forbidden: "):
        if mark in detail:
            detail = mark.removeprefix("is forbidden: ") + detail.split(mark, 1)[1]
            break
    reason = Reason.QUOTA_EXCEEDED if detail.startswith("exceeded quota") else Reason.PODS_REFUSED
    return Problem(reason, f"{counts}: {detail}", affects_users=is_down)


def _fault(seen: Seen, pod: PodState) -> PodFault | None:
    """Why a pod is not ready, or will not stay so: one that dies soon after each start would come and go."""
    if not pod.ready:
        return _why(seen, pod)
    runs_for = (seen.now - pod.runs_since).total_seconds() if pod.runs_since else 0.0
    return pod.died_often if runs_for < STAYS_SECONDS else None


def _why(seen: Seen, pod: PodState) -> PodFault | None:
    """Why a pod is not ready; None while it merely starts."""
    answer = seen.answer(pod)
    blocking = next((fault for fault in answer.faults if fault.is_blocking), None)
    if pod.fault is not None and not (pod.fault.reason is Reason.CRASH_LOOPING and blocking):
        return pod.fault
    if blocking:
        return PodFault(blocking.reason, blocking.message)
    said = "; ".join(text for name, text in sorted(answer.reasons.items()) if name != "service")
    runs_for = (seen.now - pod.runs_since).total_seconds() if pod.runs_since else 0.0
    if said and (pod.lost_readiness or runs_for > REPORTING_SECONDS):
        return PodFault(Reason.PODS_NOT_READY, said)
    is_late = (seen.now - pod.created_at).total_seconds() > STARTING_SECONDS
    if not (pod.lost_readiness or is_late):
        return None
    if pod.lost_readiness:
        return PodFault(Reason.PODS_NOT_READY, f"pod {pod.name} is not ready any more: kubectl describe pod {pod.name}")
    waits = f" ({pod.waits_for})" if pod.waits_for else ""
    detail = f"pod {pod.name} is not ready after {STARTING_SECONDS:.0f} s{waits}: kubectl describe pod {pod.name}"
    return PodFault(Reason.PODS_NOT_READY, detail)


def _of_dependencies(seen: Seen, deployment: DeploymentState, *, is_down: bool) -> Iterator[Problem]:
    """What ready pods report: one problem a cause, however many pods report it."""
    for reason, message in _reported(seen, deployment.component).items():
        tasks_fail = reason is Reason.TASKS_FAILING
        yield Problem(reason, f"{deployment.name}: {message}", affects_users=is_down and not tasks_fail)


def _reported(seen: Seen, component: str) -> dict[Reason, str]:
    found: dict[Reason, str] = {}
    for pod in sorted(seen.ready(component), key=lambda pod: pod.name):
        answer = seen.answer(pod)
        paused = "receiving is paused: " if answer.paused_because else ""
        for fault in answer.faults:
            is_momento = fault.reason.startswith("Momento")
            found.setdefault(fault.reason, f"{paused if is_momento else ''}{fault.message}")
        if paused and not any(fault.reason.startswith("Momento") for fault in answer.faults):
            found.setdefault(Reason.RECEIVING_PAUSED, f"{paused}{answer.paused_because}")
    return found


def _unanswered(seen: Seen, deployment: DeploymentState) -> Iterator[Problem]:
    silent = [pod for pod in seen.ready(deployment.component) if seen.answer(pod).error]
    if silent:
        many, error = f"{len(silent)} of {deployment.replicas}", seen.answer(silent[0]).error
        message = f"{deployment.name}: {many} pods do not answer the operator on port 9090: {error}"
        yield Problem(Reason.PODS_NOT_ANSWERING, message, is_certain=False)


def _of_queue(seen: Seen, found: Sequence[Problem]) -> Iterator[Problem]:
    """The operator's own reading of the queue; the pods' reports say more where there are any."""
    of_queue = {Reason.QUEUE_UNREACHABLE, Reason.QUEUE_MISSING, Reason.QUEUE_ACCESS_DENIED}
    if not seen.queue_error or any(problem.reason in of_queue for problem in found):
        return
    message = f"the operator cannot read the task queue: {seen.queue_error}"
    reason, processor = _queue_reason(seen.queue_error), seen.release.deployments.get(PROCESSOR)
    # Rights and quotas are each one's own, but without processors somebody has to see that there is work.
    is_idle = processor is not None and not processor.replicas
    is_everyones = reason in _GONE and not _is_throttled(seen.queue_error) and not _is_refuted(seen)
    affects_users = is_idle or is_everyones
    yield Problem(reason, message, affects_users=affects_users, is_certain=False)


def _is_refuted(seen: Seen) -> bool:
    """Whether a processor would have reported by now that it cannot read the queue either."""
    answers = [seen.answer(pod) for pod in seen.ready(PROCESSOR)]
    reads = any(not answer.error and not _is_blocked(answer) for answer in answers)
    return reads and seen.queue_error_seconds > PROCESSOR_REPORTS_SECONDS


def _of_scaling(seen: Seen) -> Iterator[Problem]:
    """Without processors, and without anybody to start them, no task is done."""
    processor = seen.release.deployments.get(PROCESSOR)
    if seen.scaling_error and processor is not None:
        affects_users = not processor.replicas
        yield Problem(Reason.CANNOT_SCALE, seen.scaling_error, affects_users=affects_users, is_certain=False)


_GONE = {Reason.QUEUE_UNREACHABLE, Reason.QUEUE_MISSING}
"""What concerns the services as well."""


def _queue_reason(error: str) -> Reason:
    if "NonExistentQueue" in error or "QueueDoesNotExist" in error:
        return Reason.QUEUE_MISSING
    is_denied = any(mark in error for mark in ("allow sqs:", "ExpiredToken", "RequestExpired", "credentials"))
    return Reason.QUEUE_ACCESS_DENIED if is_denied else Reason.QUEUE_UNREACHABLE


def _is_throttled(error: str) -> bool:
    return "Throttl" in error
