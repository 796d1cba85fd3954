"""From what is seen of a release to its problems and to whether users are served."""

import copy
from collections.abc import Callable

import pytest

from k8s.operator.api.client import Json
from k8s.operator.health.answers import Answer
from k8s.operator.health.judge import problems, served
from k8s.operator.health.problems import Problem, Reason, degraded
from tests.support.operator.release import (
    IMAGE,
    ReleaseScene,
    ago,
    container,
    lost,
    starting,
    unscheduled,
    waiting,
)

KEY = "Momento refused the API key (parameter /notification-api/dev/momento-api-key)"
Change = Callable[[ReleaseScene], None]


@pytest.fixture
def scene() -> ReleaseScene:
    return ReleaseScene()


def judged(scene: ReleaseScene) -> tuple[bool | None, str, str, str]:
    """Ready's status and message, Degraded's reason and message."""
    seen = scene.seen()
    found = problems(seen)
    ready, bad = served(seen, found), degraded(found)
    return ready.status, ready.reason, bad.reason, bad.message


def test_a_healthy_release_is_ready_and_has_no_problem(scene: ReleaseScene) -> None:
    assert judged(scene) == (True, "Ready", "NoProblem", "no problem is known")


class TestNoProblem:
    """What merely starts, ends or is scaled is none."""

    def test_a_stage_without_processors_is_ready(self, scene: ReleaseScene) -> None:
        scene.scale("processor", 0)
        del scene.pods["p1"]
        assert judged(scene)[:3] == (True, "Ready", "NoProblem")

    @pytest.mark.parametrize("has_pod", [True, False])
    def test_a_first_processor_that_starts(self, scene: ReleaseScene, *, has_pod: bool) -> None:
        scene.pods["p1"] = starting(scene.pods["p1"])
        if not has_pod:
            del scene.pods["p1"]
        assert judged(scene)[:3] == (True, "Ready", "NoProblem")

    def test_a_rolling_update_of_every_component(self, scene: ReleaseScene) -> None:
        for component, name in (("token", "t"), ("ingest", "i"), ("processor", "p")):
            scene.pods[f"{name}9"] = starting(scene.pods[f"{name}1"])
            scene.was_full[component] = 2  # the generation before
        going = copy.deepcopy(scene.pods["t2"])
        going["metadata"]["deletionTimestamp"] = ago(1)
        scene.pods["t2"] = lost(going)
        assert judged(scene)[:3] == (True, "Ready", "NoProblem")

    def test_a_container_that_was_stopped_in_good_order_and_starts_again(self, scene: ReleaseScene) -> None:
        scene.pods["i1"] = waiting(scene.pods["i1"], "ContainerCreating")
        container(scene.pods["i1"])["lastState"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        assert judged(scene)[:3] == (True, "Ready", "NoProblem")

    def test_a_scale_out(self, scene: ReleaseScene) -> None:
        scene.scale("token", 4)
        scene.was_full["token"] = 2
        scene.pods["t3"] = starting(scene.pods["t1"])
        assert judged(scene)[2] == "NoProblem"

    def test_a_stage_of_which_nothing_is_installed_has_no_deployments(self, scene: ReleaseScene) -> None:
        scene.deployments, scene.pods, scene.objects = {}, {}, frozenset({"ConfigMap/dev-outputs"})
        assert judged(scene)[:3] == (False, "NoDeployments", "NoProblem")

    def test_a_first_install_waits_for_pods(self, scene: ReleaseScene) -> None:
        scene.pods = {name: starting(pod) for name, pod in scene.pods.items()}
        seen = scene.seen()
        verdict = served(seen, problems(seen))
        assert (verdict.status, verdict.reason) == (False, "WaitingForPods")
        assert verdict.message == "dev-ingest: 0 of 2 pods ready; dev-token: 0 of 2 pods ready"
        assert problems(seen) == []


def one_of_two(change: Callable[..., object], *arguments: str) -> Change:
    def apply(scene: ReleaseScene) -> None:
        scene.pods["i1"] = change(scene.pods["i1"], *arguments)  # type: ignore[assignment]

    return apply


def crashed(code: int = 1, reason: str = "Error") -> Change:
    def apply(scene: ReleaseScene) -> None:
        ended = {"terminated": {"exitCode": code, "reason": reason}}
        scene.pods["i1"] = waiting(scene.pods["i1"], "CrashLoopBackOff", lastState=ended)

    return apply


def runs_again_after_a_crash(scene: ReleaseScene) -> None:
    scene.pods["i1"] = starting(scene.pods["i1"])
    container(scene.pods["i1"])["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}


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
    pytest.param(crashed(), "CrashLooping", "crashed: exit code 1: see kubectl logs --previous", id="crash"),
    pytest.param(
        runs_again_after_a_crash, "CrashLooping", "crashed: exit code 1: see kubectl logs --previous", id="up"
    ),
    pytest.param(crashed(137, "OOMKilled"), "CrashLooping", "crashed: OOMKilled", id="memory"),
    pytest.param(one_of_two(lost), "PodsNotReady", "pod i1 is not ready any more: kubectl describe pod i1", id="lost"),
]


@pytest.mark.parametrize(("change", "reason", "detail"), ONE_POD)
def test_one_pod_of_two_that_fails_is_named_and_users_are_served(
    scene: ReleaseScene, change: Change, reason: str, detail: str
) -> None:
    change(scene)
    assert judged(scene) == (True, "Ready", reason, f"dev-ingest: 1 of 2 pods ready: {detail}")


@pytest.mark.parametrize(("change", "reason", "detail"), ONE_POD)
def test_the_last_pod_that_fails_makes_the_stage_not_ready_with_the_cause(
    scene: ReleaseScene, change: Change, reason: str, detail: str
) -> None:
    change(scene)
    del scene.pods["i2"]
    seen = scene.seen()
    verdict = served(seen, problems(seen))
    assert (verdict.status, verdict.reason) == (False, "WaitingForPods")
    assert verdict.message == f"dev-ingest: 0 of 2 pods ready: {detail}"
    assert judged(scene)[2] == reason


def test_a_pod_that_was_there_and_is_gone_is_a_problem_until_its_replacement_is_ready(scene: ReleaseScene) -> None:
    scene.was_full["ingest"] = 3
    scene.pods["i1"] = starting(scene.pods["i1"])
    [problem] = problems(scene.seen())
    assert (problem.reason, problem.message) == (
        "PodsNotReady", "dev-ingest: 1 of 2 pods ready: a replacement starts",
    )  # fmt: skip
    assert not problem.is_certain
    assert not problem.affects_users


def test_a_pod_that_starts_for_longer_than_a_minute_is_a_problem(scene: ReleaseScene) -> None:
    scene.pods["t2"] = waiting(scene.pods["t2"], "ContainerCreating")
    scene.pods["t2"]["metadata"]["creationTimestamp"] = ago(61)
    assert judged(scene)[2:] == (
        "PodsNotReady",
        "dev-token: 1 of 2 pods ready: pod t2 is not ready after 60 s (ContainerCreating): kubectl describe pod t2",
    )


def test_a_crash_of_long_ago_is_not_the_cause_of_a_pod_that_has_been_ready_since(scene: ReleaseScene) -> None:
    scene.pods["i1"] = lost(scene.pods["i1"])
    container(scene.pods["i1"])["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    scene.answers["i1"] = Answer(reasons={"queue": "The queue cannot be used."})
    assert judged(scene)[2:] == ("PodsNotReady", "dev-ingest: 1 of 2 pods ready: The queue cannot be used.")


def test_a_pod_that_runs_again_after_a_crash_and_names_a_cause_is_quoted(scene: ReleaseScene) -> None:
    runs_again_after_a_crash(scene)
    scene.reports(Reason.PARAMETER_MISSING, "the parameter cannot be read: ParameterNotFound", "i1")
    assert judged(scene)[2:] == (
        "ParameterMissing",
        "dev-ingest: 1 of 2 pods ready: the parameter cannot be read: ParameterNotFound",
    )


def test_a_container_whose_start_the_kubelet_does_not_know_hides_no_other_pod(scene: ReleaseScene) -> None:
    container(scene.pods["p1"])["state"] = {"running": {"startedAt": None}}
    scene.pods["i1"] = waiting(scene.pods["i1"], "ImagePullBackOff")
    assert judged(scene)[2] == "ImagePullFailed"


@pytest.mark.parametrize(
    ("restarts", "ran_for", "reason"), [(3, 5, "CrashLooping"), (3, 20, "NoProblem"), (1, 5, "NoProblem")]
)
def test_a_pod_that_has_died_often_is_well_once_it_stays_ready(
    scene: ReleaseScene, restarts: int, ran_for: float, reason: str
) -> None:
    container(scene.pods["p1"]).update(
        restartCount=restarts,
        lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
        state={"running": {"startedAt": ago(ran_for)}},
    )
    assert judged(scene)[:3] == (True, "Ready", reason)


def test_a_pod_that_says_why_it_is_not_ready_is_quoted(scene: ReleaseScene) -> None:
    scene.pods["p1"] = lost(scene.pods["p1"])
    scene.answers["p1"] = Answer(reasons={"queue": "The queue cannot be used.", "service": "starting"})
    assert judged(scene) == (
        False, "PodsNotReady", "PodsNotReady", "dev-processor: 0 of 1 pods ready: The queue cannot be used.",
    )  # fmt: skip


def test_one_that_starts_is_quoted_after_ten_seconds(scene: ReleaseScene) -> None:
    scene.answers["t1"] = Answer(reasons={"keys": "The keys of the issuer cannot be read: no answer.", "service": "x"})
    for age, reason in ((9, "NoProblem"), (13, "PodsNotReady")):
        scene.pods["t1"] = starting(scene.pods["t1"], age)
        assert judged(scene)[2] == reason
    assert judged(scene)[3] == "dev-token: 1 of 2 pods ready: The keys of the issuer cannot be read: no answer."


def test_a_parameter_that_is_missing_is_the_cause_of_pods_that_never_get_ready(scene: ReleaseScene) -> None:
    for name in ("t1", "t2", "p1"):
        scene.pods[name] = starting(scene.pods[name])
    text = "the parameter /notification-api/dev/momento-api-key cannot be read: ParameterNotFound"
    scene.reports(Reason.PARAMETER_MISSING, text, "t1", "t2", "p1")
    ready, reason, bad, message = judged(scene)
    assert (ready, reason, bad) == (False, "WaitingForPods", "ParameterMissing")
    assert message.startswith(f"dev-processor: 0 of 1 pods ready: {text}; and 1 more: dev-token: 0 of 2 pods ready")


def test_a_quota_of_the_namespace_is_named_with_its_figures(scene: ReleaseScene) -> None:
    del scene.pods["t2"]
    text = 'pods "dev-token-abc" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'
    scene.condition("token", type="ReplicaFailure", status="True", reason="FailedCreate", message=text)
    assert judged(scene) == (
        True,
        "Ready",
        "QuotaExceeded",
        "dev-token: 1 of 2 pods ready: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4",
    )


def test_pods_that_are_refused_are_named_with_the_refusal(scene: ReleaseScene) -> None:
    del scene.pods["t2"]
    text = 'pods "dev-token-abc" is forbidden: violates PodSecurity "restricted:latest"'
    scene.condition("token", type="ReplicaFailure", status="True", reason="FailedCreate", message=text)
    assert judged(scene)[2:] == (
        "PodsRefused", 'dev-token: 1 of 2 pods ready: violates PodSecurity "restricted:latest"',
    )  # fmt: skip


def test_a_rollout_that_stops_without_a_cause_is_named(scene: ReleaseScene) -> None:
    scene.condition("token", type="Progressing", status="False", reason="ProgressDeadlineExceeded", message="timed out")
    assert judged(scene)[1:3] == ("Ready", "RolloutStuck")


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param([], id="nobody's"),
        pytest.param([{"kind": "Job", "name": "dev-token", "controller": True}], id="a job's"),
        pytest.param([{"kind": "ReplicaSet", "name": "dev-token-copy-5d4f", "controller": True}], id="another's"),
    ],
)
def test_a_pod_that_only_bears_the_labels_is_none_of_the_release(scene: ReleaseScene, owners: list[Json]) -> None:
    for name in ("t1", "t2"):
        scene.pods[name]["metadata"]["ownerReferences"] = owners
    assert judged(scene)[:2] == (False, "WaitingForPods")


class TestDependencies:
    """Ready pods may be unable to do anything for users."""

    def test_a_key_that_is_refused_to_every_token_pod_is_not_ready(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.MOMENTO_KEY_REFUSED, KEY, "t1", "t2")
        assert judged(scene) == (False, "MomentoKeyRefused", "MomentoKeyRefused", f"dev-token: {KEY}")

    def test_to_one_pod_of_two_users_still_are_served(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.MOMENTO_KEY_REFUSED, KEY, "t1")
        assert judged(scene) == (True, "Ready", "MomentoKeyRefused", f"dev-token: {KEY}")

    def test_a_processor_that_is_paused_says_so(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.MOMENTO_KEY_REFUSED, KEY, "p1", paused="notifications cannot be delivered")
        assert judged(scene) == (
            False, "MomentoKeyRefused", "MomentoKeyRefused", f"dev-processor: receiving is paused: {KEY}",
        )  # fmt: skip

    def test_one_that_is_paused_without_a_cause_says_what_it_knows(self, scene: ReleaseScene) -> None:
        scene.answers["p1"] = Answer(warnings={"receiving": "notifications cannot be delivered (publish: x)"})
        assert judged(scene) == (
            False,
            "ReceivingPaused",
            "ReceivingPaused",
            "dev-processor: receiving is paused: notifications cannot be delivered (publish: x)",
        )

    def test_one_more_that_starts_beside_paused_processors_serves_nobody_yet(self, scene: ReleaseScene) -> None:
        scene.scale("processor", 2)
        scene.pods["p2"] = starting(scene.pods["p1"])
        scene.pods["p2"]["metadata"]["name"] = "p2"
        scene.reports(Reason.MOMENTO_KEY_REFUSED, KEY, "p1", paused="notifications cannot be delivered")
        assert judged(scene)[:3] == (False, "MomentoKeyRefused", "MomentoKeyRefused")

    def test_one_processor_of_two_that_receives_is_enough(self, scene: ReleaseScene) -> None:
        scene.scale("processor", 2)
        scene.pods["p2"] = copy.deepcopy(scene.pods["p1"])
        scene.pods["p2"]["metadata"]["name"] = "p2"
        scene.reports(Reason.MOMENTO_UNREACHABLE, "Momento is unreachable", "p1", paused="x")
        assert judged(scene)[:3] == (True, "Ready", "MomentoUnreachable")

    def test_sqs_that_only_the_operator_cannot_reach_affects_no_user_while_a_processor_reads_it(
        self, scene: ReleaseScene
    ) -> None:
        scene.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        assert judged(scene)[:3] == (False, "QueueUnreachable", "QueueUnreachable")
        scene.queue_error_seconds = 46.0
        assert judged(scene)[:3] == (True, "Ready", "QueueUnreachable")

    @pytest.mark.parametrize("answer", [Answer(error="no answer in time"), Answer(warnings={"receiving": "paused"})])
    def test_a_processor_that_does_not_read_it_proves_nothing(self, scene: ReleaseScene, answer: Answer) -> None:
        scene.queue_error, scene.queue_error_seconds = "sqs:GetQueueAttributes: no answer within 3 s", 46.0
        scene.answers["p1"] = answer
        assert judged(scene)[0] is False

    def test_sqs_that_answers_no_ingest_pod_is_not_ready(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.QUEUE_UNREACHABLE, "SQS is unreachable", "i1", "i2")
        scene.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        assert judged(scene) == (False, "QueueUnreachable", "QueueUnreachable", "dev-ingest: SQS is unreachable")

    def test_a_quota_that_refuses_some_calls_leaves_users_served(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.MOMENTO_QUOTA_EXCEEDED, "a quota is used up", "t1", "t2", blocking=False)
        assert judged(scene)[:3] == (True, "Ready", "MomentoQuotaExceeded")

    def test_handlers_that_all_fail_leave_the_stage_ready(self, scene: ReleaseScene) -> None:
        scene.reports(Reason.TASKS_FAILING, "every task fails, the last with ValueError", "p1", blocking=False)
        assert judged(scene)[:3] == (True, "Ready", "TasksFailing")

    @pytest.mark.parametrize(
        ("error", "ready", "reason"),
        [
            ("sqs:GetQueueAttributes on q: no answer within 3 s", False, "QueueUnreachable"),
            ("sqs:GetQueueAttributes on q: AWS.SimpleQueueService.NonExistentQueue: gone", False, "QueueNotFound"),
            (
                "sqs:GetQueueAttributes on q: AccessDenied: (allow sqs:GetQueueAttributes for …",
                True,
                "QueueAccessDenied",
            ),
            ("sqs:GetQueueAttributes on q: ExpiredToken: The security token is expired", True, "QueueAccessDenied"),
            ("sqs:GetQueueAttributes on q: Unable to locate credentials", True, "QueueAccessDenied"),
            ("sqs:GetQueueAttributes on q: ThrottlingException: Rate exceeded", True, "QueueUnreachable"),
        ],
    )
    def test_what_the_operator_itself_sees_of_the_queue_counts(
        self, scene: ReleaseScene, *, error: str, ready: bool, reason: str
    ) -> None:
        scene.queue_error = error
        assert (judged(scene)[0], judged(scene)[2]) == (ready, reason)
        assert error in judged(scene)[3]

    @pytest.mark.parametrize("error", ["AccessDenied: (allow sqs:GetQueueAttributes for …", "ThrottlingException: x"])
    def test_without_processors_nobody_is_served_while_the_operator_cannot_read_the_queue(
        self, scene: ReleaseScene, error: str
    ) -> None:
        scene.scale("processor", 0)
        del scene.pods["p1"]
        scene.queue_error = f"sqs:GetQueueAttributes on q: {error}"
        assert judged(scene)[0] is False

    def test_a_pod_that_does_not_answer_is_named_once_it_lasts(self, scene: ReleaseScene) -> None:
        scene.answers["t1"] = Answer(error="no answer in time")
        [problem] = problems(scene.seen())
        assert problem == Problem(
            Reason.PODS_NOT_ANSWERING,
            "dev-token: 1 of 2 pods do not answer the operator on port 9090: no answer in time",
            is_certain=False,
        )


class TestObjectsThatDoNotExist:
    @pytest.mark.parametrize(
        ("name", "ready"),
        [
            ("Service/dev-token", False),
            ("Service/dev-ingest", False),
            ("ConfigMap/dev-processor", True),
            ("ServiceAccount/dev-token", True),
        ],
    )
    def test_are_named_with_the_command_that_restores_them(
        self, scene: ReleaseScene, name: str, *, ready: bool
    ) -> None:
        assert scene.objects is not None
        scene.objects -= {name}
        was_ready, _, reason, message = judged(scene)
        assert (was_ready, reason) == (ready, "ObjectMissing")
        assert message == (
            f"{name.replace('/', ' ')} does not exist; to restore: helm upgrade dev <chart> -n n --reuse-values"
        )

    @pytest.mark.parametrize("component", ["token", "ingest", "processor"])
    def test_a_deployment(self, scene: ReleaseScene, component: str) -> None:
        del scene.deployments[component]
        ready, reason, bad, message = judged(scene)
        assert (ready, reason, bad) == (False, "ObjectMissing", "ObjectMissing")
        assert message.startswith(f"Deployment dev-{component} does not exist; to restore: helm upgrade dev")

    def test_a_service_account_that_is_given_is_not_the_charts(self, scene: ReleaseScene) -> None:
        assert scene.objects is not None
        scene.objects -= {"ServiceAccount/dev-token"}
        scene.deployments["token"]["spec"]["template"]["spec"]["serviceAccountName"] = "given"
        assert judged(scene)[2] == "NoProblem"

    def test_where_the_operator_may_not_list_them_nothing_is_said(self, scene: ReleaseScene) -> None:
        scene.objects = None
        assert judged(scene)[2] == "NoProblem"

    def test_a_deployment_scaled_to_zero_by_hand_serves_nobody(self, scene: ReleaseScene) -> None:
        scene.scale("token", 0)
        del scene.pods["t1"], scene.pods["t2"]
        ready, _, reason, message = judged(scene)
        assert (ready, reason) == (False, "ScaledToZero")
        assert "kubectl scale deployment dev-token -n n" in message


def test_of_several_problems_the_one_that_users_notice_comes_first_and_the_others_are_counted(
    scene: ReleaseScene,
) -> None:
    scene.pods["t1"] = waiting(scene.pods["t1"], "ImagePullBackOff")
    scene.reports(Reason.QUEUE_UNREACHABLE, "SQS is unreachable", "i1", "i2")
    scene.reports(Reason.TASKS_FAILING, "every task fails, the last with ValueError", "p1", blocking=False)
    worst, others = "dev-ingest: SQS is unreachable", f"dev-token: 1 of 2 pods ready: ImagePullBackOff {IMAGE}"
    least = "dev-processor: every task fails, the last with ValueError"
    assert judged(scene)[2:] == ("QueueUnreachable", f"{worst}; and 2 more: {others}; {least}")
