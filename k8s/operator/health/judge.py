"""Judges a snapshot: what is wrong, and whether users are served. Pure: no I/O and no state."""

from collections.abc import Iterator, Sequence

from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.releases import DeploymentState, Release
from k8s.operator.api.workloads import PROCESSOR
from k8s.operator.health.pod_problems import deployment_problems
from k8s.operator.health.problems import ConditionState, Problem, worst_first
from k8s.operator.health.queue_problems import queue_problems
from k8s.operator.health.snapshot import COMPONENTS, SERVING, Snapshot

READY = ConditionState(status=True, reason="Ready", message="token and ingest take requests, and tasks are processed")


def find_problems(snapshot: Snapshot) -> list[Problem]:
    """Find everything that is wrong, the worst first. A release of which nothing exists has no problems."""
    if not exists(snapshot.release):
        return []
    found = list(_missing_objects(snapshot.release))
    for deployment in snapshot.release.deployments.values():
        if deployment.component in COMPONENTS:
            found += deployment_problems(snapshot, deployment)
    return worst_first([*found, *queue_problems(snapshot, found), *_scaling_problems(snapshot)])


def exists(release: Release) -> bool:
    """Whether any object of the release exists, besides the outputs, which the operator creates."""
    others = (release.objects or frozenset()) - {f"ConfigMap/{release.name}-outputs"}
    return bool(release.deployments or release.pods or others)


def ready_state(snapshot: Snapshot, problems: Sequence[Problem]) -> ConditionState:
    """Return the condition Ready: whether users are served."""
    if not snapshot.release.deployments:
        return ConditionState(status=False, reason="NoDeployments", message="the release has no Deployments")
    waiting = [
        _waiting_text(snapshot, snapshot.release.deployments[component], problems)
        for component in SERVING
        if component in snapshot.release.deployments and not snapshot.ready_pods(component)
    ]
    if waiting:
        return ConditionState(status=False, reason="WaitingForPods", message="; ".join(waiting))
    for problem in worst_first(problems):
        if problem.affects_users:
            return ConditionState(status=False, reason=problem.reason, message=problem.message)
    return READY


def _waiting_text(snapshot: Snapshot, deployment: DeploymentState, problems: Sequence[Problem]) -> str:
    counts = snapshot.counts(deployment)
    return next((problem.message for problem in problems if problem.message.startswith(f"{counts}: ")), counts)


def _missing_objects(release: Release) -> Iterator[Problem]:
    names = [f"Deployment {release.name}-{each}" for each in COMPONENTS if each not in release.deployments]
    affects_users = bool(names)
    if release.objects is not None:
        for kind, name in _required_objects(release):
            if f"{kind}/{name}" not in release.objects:
                names.append(f"{kind} {name}")
                affects_users = affects_users or kind == "Service"
    if names:
        yield Problem(
            DegradedReason.OBJECT_MISSING,
            f"{', '.join(names)} {'does' if len(names) == 1 else 'do'} not exist; to restore:"
            f" helm upgrade {release.name} <chart> -n {release.namespace} --reuse-values",
            affects_users=affects_users,
            is_certain=False,
        )


def _required_objects(release: Release) -> Iterator[tuple[str, str]]:
    """The objects that the chart creates for each component. A ServiceAccount of another name is not the chart's."""
    for component in SERVING:
        yield "Service", f"{release.name}-{component}"
    for component in COMPONENTS:
        name = f"{release.name}-{component}"
        yield "ConfigMap", name
        deployment = release.deployments.get(component)
        if deployment is not None and deployment.service_account == name:
            yield "ServiceAccount", name


def _scaling_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Tasks are not processed if there are no processors and the operator cannot start any."""
    processor = snapshot.release.deployments.get(PROCESSOR)
    if snapshot.scaling_error and processor is not None:
        affects_users = not processor.replicas
        yield Problem(
            DegradedReason.CANNOT_SCALE, snapshot.scaling_error, affects_users=affects_users, is_certain=False
        )
