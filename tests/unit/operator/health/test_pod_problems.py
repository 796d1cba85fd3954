"""Pods that are not ready: which of them are a problem, and with which cause."""

from collections.abc import Callable

import pytest

from k8s.operator.api.client import Json
from k8s.operator.api.readiness import ReadinessReport
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.health.judge import find_problems, ready_state
from tests.support.operator.release import IMAGE, ReleaseBuilder, ago, container, lost, starting, unscheduled, waiting

Change = Callable[[ReleaseBuilder], None]


def one_of_two(change: Callable[..., object], *arguments: str) -> Change:
    def apply(release: ReleaseBuilder) -> None:
        release.pods["i1"] = change(release.pods["i1"], *arguments)  # type: ignore[assignment]

    return apply


def crashed(code: int = 1, reason: str = "Error") -> Change:
    def apply(release: ReleaseBuilder) -> None:
        ended = {"terminated": {"exitCode": code, "reason": reason}}
        release.pods["i1"] = waiting(release.pods["i1"], "CrashLoopBackOff", lastState=ended)

    return apply


def stopped_for_another_image(release: ReleaseBuilder) -> None:
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    release.pods["i1"] = waiting(release.pods["i1"], "CrashLoopBackOff", lastState=ended, restartCount=0)


def runs_again_after_a_crash(release: ReleaseBuilder) -> None:
    release.pods["i1"] = starting(release.pods["i1"])
    container(release.pods["i1"])["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}


ONE_POD = [
    pytest.param(one_of_two(waiting, "ErrImagePull"), "ImagePullFailed", f"ImagePullBackOff {IMAGE}", id="first pull"),
    pytest.param(one_of_two(waiting, "ImagePullBackOff"), "ImagePullFailed", f"ImagePullBackOff {IMAGE}", id="pull"),
    pytest.param(one_of_two(waiting, "InvalidImageName"), "ImagePullFailed", f"InvalidImageName {IMAGE}", id="name"),
    pytest.param(
        one_of_two(waiting, "CreateContainerConfigError", 'configmap "dev-ingest" not found'),
        "ContainerCannotStart",
        'CreateContainerConfigError: configmap "dev-ingest" not found',
        id="config",
    ),
    pytest.param(
        one_of_two(waiting, "SignatureValidationFailed", "no signature"),
        "ContainerCannotStart",
        "SignatureValidationFailed: no signature",
        id="another",
    ),
    pytest.param(
        one_of_two(unscheduled, "0/1 nodes are available: 1 Insufficient cpu."),
        "Unschedulable",
        "not scheduled: 0/1 nodes are available: 1 Insufficient cpu.",
        id="no room",
    ),
    pytest.param(
        stopped_for_another_image, "ImagePullFailed", f"ImagePullBackOff {IMAGE}", id="pull of a changed image"
    ),
    pytest.param(crashed(), "CrashLooping", "crashed: exit code 1: see kubectl logs --previous", id="crash"),
    pytest.param(
        runs_again_after_a_crash, "CrashLooping", "crashed: exit code 1: see kubectl logs --previous", id="up"
    ),
    pytest.param(crashed(137, "OOMKilled"), "CrashLooping", "crashed: OOMKilled", id="memory"),
    pytest.param(one_of_two(lost), "PodsNotReady", "pod i1 is no longer ready: kubectl describe pod i1", id="lost"),
]


@pytest.mark.parametrize(("change", "reason", "detail"), ONE_POD)
def test_one_pod_of_two_that_fails_is_named_and_users_are_served(
    release: ReleaseBuilder, change: Change, reason: str, detail: str
) -> None:
    change(release)
    assert release.judge() == (True, "Ready", reason, f"dev-ingest: 1 of 2 pods ready: {detail}")


@pytest.mark.parametrize(("change", "reason", "detail"), ONE_POD)
def test_the_last_pod_that_fails_makes_the_stage_not_ready_with_the_cause(
    release: ReleaseBuilder, change: Change, reason: str, detail: str
) -> None:
    change(release)
    del release.pods["i2"]
    snapshot = release.snapshot()
    ready = ready_state(snapshot, find_problems(snapshot))
    assert (ready.status, ready.reason) == (False, "WaitingForPods")
    assert ready.message == f"dev-ingest: 0 of 2 pods ready: {detail}"
    assert release.judge()[2] == reason


def test_a_lost_pod_is_a_problem_until_its_replacement_is_ready(release: ReleaseBuilder) -> None:
    release.full_versions["ingest"] = ("first", 3)
    release.pods["i1"] = starting(release.pods["i1"])
    [problem] = find_problems(release.snapshot())
    assert (problem.reason, problem.message) == (
        "PodsNotReady", "dev-ingest: 1 of 2 pods ready: a replacement is starting",
    )  # fmt: skip
    assert not problem.is_certain
    assert not problem.affects_users


def test_a_pod_that_starts_for_longer_than_a_minute_is_a_problem(release: ReleaseBuilder) -> None:
    release.pods["t2"] = waiting(release.pods["t2"], "ContainerCreating")
    release.pods["t2"]["metadata"]["creationTimestamp"] = ago(61)
    assert release.judge()[2:] == (
        "PodsNotReady",
        "dev-token: 1 of 2 pods ready: pod t2 is not ready after 60 s (ContainerCreating): kubectl describe pod t2",
    )


def test_a_crash_before_the_pod_was_ready_is_not_the_cause(release: ReleaseBuilder) -> None:
    release.pods["i1"] = lost(release.pods["i1"])
    container(release.pods["i1"])["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    release.reported["i1"] = ReadinessReport(reasons={"queue": "The queue cannot be used."})
    assert release.judge()[2:] == ("PodsNotReady", "dev-ingest: 1 of 2 pods ready: The queue cannot be used.")


def test_a_pod_that_runs_again_after_a_crash_and_names_a_cause_is_quoted(release: ReleaseBuilder) -> None:
    runs_again_after_a_crash(release)
    release.reports(DegradedReason.PARAMETER_MISSING, "the parameter cannot be read: ParameterNotFound", "i1")
    assert release.judge()[2:] == (
        "ParameterMissing",
        "dev-ingest: 1 of 2 pods ready: the parameter cannot be read: ParameterNotFound",
    )


def test_a_container_without_a_start_time_hides_no_other_pod(release: ReleaseBuilder) -> None:
    container(release.pods["p1"])["state"] = {"running": {"startedAt": None}}
    release.pods["i1"] = waiting(release.pods["i1"], "ImagePullBackOff")
    assert release.judge()[2] == "ImagePullFailed"


@pytest.mark.parametrize(
    ("restarts", "ran_for", "reason"), [(3, 5, "CrashLooping"), (3, 20, "NoProblem"), (1, 5, "NoProblem")]
)
def test_a_pod_that_crashed_repeatedly_is_healthy_once_it_stays_ready(
    release: ReleaseBuilder, restarts: int, ran_for: float, reason: str
) -> None:
    container(release.pods["p1"]).update(
        restartCount=restarts,
        lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
        state={"running": {"startedAt": ago(ran_for)}},
    )
    assert release.judge()[:3] == (True, "Ready", reason)


def test_a_pod_that_reports_why_it_is_not_ready_is_quoted(release: ReleaseBuilder) -> None:
    release.pods["p1"] = lost(release.pods["p1"])
    release.reported["p1"] = ReadinessReport(reasons={"queue": "The queue cannot be used.", "service": "starting"})
    assert release.judge() == (
        False, "PodsNotReady", "PodsNotReady", "dev-processor: 0 of 1 pods ready: The queue cannot be used.",
    )  # fmt: skip


def test_a_starting_pod_is_quoted_after_ten_seconds(release: ReleaseBuilder) -> None:
    release.reported["t1"] = ReadinessReport(
        reasons={"keys": "The keys of the issuer cannot be read: no answer.", "service": "x"}
    )
    for age, reason in ((9, "NoProblem"), (13, "PodsNotReady")):
        release.pods["t1"] = starting(release.pods["t1"], age)
        assert release.judge()[2] == reason
    assert release.judge()[3] == "dev-token: 1 of 2 pods ready: The keys of the issuer cannot be read: no answer."


def test_a_parameter_that_is_missing_is_the_cause_of_pods_that_never_get_ready(release: ReleaseBuilder) -> None:
    for name in ("t1", "t2", "p1"):
        release.pods[name] = starting(release.pods[name])
    text = "the parameter /notification-api/dev/momento-api-key cannot be read: ParameterNotFound"
    release.reports(DegradedReason.PARAMETER_MISSING, text, "t1", "t2", "p1")
    ready, reason, bad, message = release.judge()
    assert (ready, reason, bad) == (False, "WaitingForPods", "ParameterMissing")
    assert message.startswith(f"dev-processor: 0 of 1 pods ready: {text}; and 1 more: dev-token: 0 of 2 pods ready")


def test_a_quota_of_the_namespace_is_named_with_its_figures(release: ReleaseBuilder) -> None:
    del release.pods["t2"]
    text = 'pods "dev-token-abc" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'
    release.condition("token", type="ReplicaFailure", status="True", reason="FailedCreate", message=text)
    assert release.judge() == (
        True,
        "Ready",
        "QuotaExceeded",
        "dev-token: 1 of 2 pods ready: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4",
    )


def test_pods_that_are_refused_are_named_with_the_refusal(release: ReleaseBuilder) -> None:
    del release.pods["t2"]
    text = 'pods "dev-token-abc" is forbidden: violates PodSecurity "restricted:latest"'
    release.condition("token", type="ReplicaFailure", status="True", reason="FailedCreate", message=text)
    assert release.judge()[2:] == (
        "PodsRefused", 'dev-token: 1 of 2 pods ready: violates PodSecurity "restricted:latest"',
    )  # fmt: skip


def test_a_rollout_that_stops_without_a_cause_is_named(release: ReleaseBuilder) -> None:
    release.condition(
        "token", type="Progressing", status="False", reason="ProgressDeadlineExceeded", message="timed out"
    )
    assert release.judge()[1:3] == ("Ready", "RolloutStuck")


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param([], id="nobody's"),
        pytest.param([{"kind": "Job", "name": "dev-token", "controller": True}], id="a job's"),
        pytest.param([{"kind": "ReplicaSet", "name": "dev-token-copy-5d4f", "controller": True}], id="another's"),
    ],
)
def test_a_foreign_pod_with_the_labels_does_not_count(release: ReleaseBuilder, owners: list[Json]) -> None:
    for name in ("t1", "t2"):
        release.pods[name]["metadata"]["ownerReferences"] = owners
    assert release.judge()[:2] == (False, "WaitingForPods")
