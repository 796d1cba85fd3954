"""From a snapshot of a release: its problems, and whether users are served."""

import copy

import pytest

from k8s.operator.api.reasons import DegradedReason
from k8s.operator.health.judge import find_problems, ready_state
from tests.support.operator.release import IMAGE, ReleaseBuilder, ago, container, lost, starting, waiting


def test_a_healthy_release_is_ready_and_has_no_problem(release: ReleaseBuilder) -> None:
    assert release.judge() == (True, "Ready", "NoProblem", "no problem is known")


class TestNoProblem:
    """Pods that start, end or are scaled are no problem."""

    def test_a_stage_without_processors_is_ready(self, release: ReleaseBuilder) -> None:
        release.scale("processor", 0)
        del release.pods["p1"]
        assert release.judge()[:3] == (True, "Ready", "NoProblem")

    @pytest.mark.parametrize("has_pod", [True, False])
    def test_a_first_processor_that_starts(self, release: ReleaseBuilder, *, has_pod: bool) -> None:
        release.pods["p1"] = starting(release.pods["p1"])
        if not has_pod:
            del release.pods["p1"]
        assert release.judge()[:3] == (True, "Ready", "NoProblem")

    def test_a_rolling_update_of_every_component(self, release: ReleaseBuilder) -> None:
        for component, name in (("token", "t"), ("ingest", "i"), ("processor", "p")):
            release.pods[f"{name}9"] = starting(release.pods[f"{name}1"])
            release.full_versions[component] = ("first", 2)  # the generation before
        going = copy.deepcopy(release.pods["t2"])
        going["metadata"]["deletionTimestamp"] = ago(1)
        release.pods["t2"] = lost(going)
        assert release.judge()[:3] == (True, "Ready", "NoProblem")

    def test_a_container_that_ended_orderly_and_starts_again(self, release: ReleaseBuilder) -> None:
        release.pods["i1"] = waiting(release.pods["i1"], "ContainerCreating")
        container(release.pods["i1"])["lastState"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        assert release.judge()[:3] == (True, "Ready", "NoProblem")

    def test_a_scale_out(self, release: ReleaseBuilder) -> None:
        release.scale("token", 4)
        release.full_versions["token"] = ("first", 2)
        release.pods["t3"] = starting(release.pods["t1"])
        assert release.judge()[2] == "NoProblem"

    def test_a_stage_of_which_nothing_is_installed_has_no_deployments(self, release: ReleaseBuilder) -> None:
        release.deployments, release.pods, release.objects = {}, {}, frozenset({"ConfigMap/dev-outputs"})
        assert release.judge()[:3] == (False, "NoDeployments", "NoProblem")

    def test_a_first_install_waits_for_pods(self, release: ReleaseBuilder) -> None:
        release.pods = {name: starting(pod) for name, pod in release.pods.items()}
        snapshot = release.snapshot()
        ready = ready_state(snapshot, find_problems(snapshot))
        assert (ready.status, ready.reason) == (False, "WaitingForPods")
        assert ready.message == "dev-ingest: 0 of 2 pods ready; dev-token: 0 of 2 pods ready"
        assert find_problems(snapshot) == []


class TestMissingObjects:
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
        self, release: ReleaseBuilder, name: str, *, ready: bool
    ) -> None:
        assert release.objects is not None
        release.objects -= {name}
        was_ready, _, reason, message = release.judge()
        assert (was_ready, reason) == (ready, "ObjectMissing")
        assert message == (
            f"{name.replace('/', ' ')} does not exist; to restore: helm upgrade dev <chart> -n n --reuse-values"
        )

    @pytest.mark.parametrize("component", ["token", "ingest", "processor"])
    def test_a_deployment(self, release: ReleaseBuilder, component: str) -> None:
        del release.deployments[component]
        ready, reason, bad, message = release.judge()
        assert (ready, reason, bad) == (False, "ObjectMissing", "ObjectMissing")
        assert message.startswith(f"Deployment dev-{component} does not exist; to restore: helm upgrade dev")

    def test_an_existing_service_account_is_not_the_charts(self, release: ReleaseBuilder) -> None:
        assert release.objects is not None
        release.objects -= {"ServiceAccount/dev-token"}
        release.deployments["token"]["spec"]["template"]["spec"]["serviceAccountName"] = "given"
        assert release.judge()[2] == "NoProblem"

    def test_objects_that_may_not_be_listed_are_not_reported(self, release: ReleaseBuilder) -> None:
        release.objects = None
        assert release.judge()[2] == "NoProblem"

    def test_a_deployment_scaled_to_zero_by_hand_serves_nobody(self, release: ReleaseBuilder) -> None:
        release.scale("token", 0)
        del release.pods["t1"], release.pods["t2"]
        ready, _, reason, message = release.judge()
        assert (ready, reason) == (False, "ScaledToZero")
        assert "kubectl scale deployment dev-token -n n" in message


def test_the_problem_that_affects_users_comes_first_and_others_are_counted(
    release: ReleaseBuilder,
) -> None:
    release.pods["t1"] = waiting(release.pods["t1"], "ImagePullBackOff")
    release.reports(DegradedReason.QUEUE_UNREACHABLE, "SQS is unreachable", "i1", "i2")
    release.reports(DegradedReason.TASKS_FAILING, "every task fails, the last with ValueError", "p1", blocking=False)
    worst, others = "dev-ingest: SQS is unreachable", f"dev-token: 1 of 2 pods ready: ImagePullBackOff {IMAGE}"
    least = "dev-processor: every task fails, the last with ValueError"
    assert release.judge()[2:] == ("QueueUnreachable", f"{worst}; and 2 more: {others}; {least}")
