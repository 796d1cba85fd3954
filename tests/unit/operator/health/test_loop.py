"""The health loop: what provisioning and the running release report become Ready and Degraded."""

import pytest
from prometheus_client import REGISTRY

from k8s.operator.api.client import Refused
from k8s.operator.api.readiness import ReadinessReport, ReportedFault
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.status import ConditionType
from k8s.operator.health.problems import Problem
from tests.support.operator.health_loop import HealthLoopHarness
from tests.support.operator.release import lost, starting, waiting

WARNINGS = (Problem("Warnings", "the pool's settings differ"),)


def times_to_ready() -> float:
    return REGISTRY.get_sample_value("notification_api_operator_time_to_ready_seconds_count") or 0.0


class TestReady:
    async def test_a_stage_is_ready_when_token_and_ingest_have_pods(self) -> None:
        stage, before = HealthLoopHarness(), times_to_ready()
        await stage.provisioned()
        ready = stage.release.pods["t1"], stage.release.pods["t2"]
        stage.release.pods |= {"t1": starting(ready[0]), "t2": starting(ready[1])}
        stage.apply()
        await stage.run_once()
        assert stage.condition(ConditionType.READY).message == "dev-token: 0 of 2 pods ready"
        stage.release.pods["t1"] = ready[0]
        stage.apply()
        await stage.run_once()
        assert stage.condition(ConditionType.READY).status is True
        assert times_to_ready() == before + 1

    async def test_an_old_stage_that_recovers_is_not_counted_as_new(self) -> None:
        stage, before = HealthLoopHarness(), times_to_ready()
        await stage.provisioned()
        await stage.run_once()
        stage.start()
        stage.object = stage.kubernetes.stage(stage.object.ref)
        stage.start()
        await stage.provisioned()
        stage.release.deployments["token"]["spec"]["replicas"] = 0
        stage.apply()
        await stage.run_once()
        stage.release.deployments["token"]["spec"]["replicas"] = 2
        stage.apply()
        await stage.run_once()
        assert stage.condition(ConditionType.READY).status is True
        assert times_to_ready() == before + 1

    async def test_a_stage_that_was_never_provisioned_is_not_ready(self) -> None:
        stage = HealthLoopHarness()
        await stage.health.report_provisioning(
            stage.object, (Problem("Refused", "sqs: AccessDenied"),), is_provisioned=False
        )
        await stage.run_once()
        assert stage.condition(ConditionType.READY).reason == "NotProvisioned"
        assert stage.condition(ConditionType.READY).message == "sqs: AccessDenied"

    async def test_it_is_read_each_second_while_pods_start_and_less_often_after_two_minutes(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        stage.release.pods = {name: starting(pod) for name, pod in stage.release.pods.items()}
        stage.apply()
        assert await stage.run_once(60) == 1.0
        assert await stage.run_once(120) == 1.0
        assert await stage.run_once() > 2.0


class TestMerging:
    async def test_problems_of_provisioning_and_of_the_release_are_merged(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned(*WARNINGS)
        stage.release.pods["t1"] = waiting(stage.release.pods["t1"], "ImagePullBackOff")
        stage.apply()
        await stage.run_once()
        assert stage.states() == (True, True, "ImagePullFailed")
        assert "and 1 more: the pool's settings differ" in stage.condition(ConditionType.DEGRADED).message
        await stage.provisioned()
        assert stage.condition(ConditionType.DEGRADED).message.startswith(
            "dev-token: 1 of 2 pods ready: ImagePullBackOff"
        )

    async def test_a_reconcile_keeps_a_problem_that_an_earlier_process_found(self) -> None:
        old = {
            "type": "Degraded",
            "status": "True",
            "reason": "ImagePullFailed",
            "message": "x",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        stage = HealthLoopHarness({"conditions": [old]})
        await stage.provisioned()
        assert stage.condition(ConditionType.DEGRADED).reason == "ImagePullFailed"
        await stage.run_once()
        assert stage.condition(ConditionType.DEGRADED).reason == "NoProblem"

    async def test_a_removal_reports_only_what_it_waits_for(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned(*WARNINGS)
        await stage.run_once()
        await stage.health.report_removal(stage.object, "WaitingForProcessor", "1 processor still runs")
        assert stage.states() == (False, False, "NoProblem")
        assert stage.condition(ConditionType.READY).reason == "WaitingForProcessor"

    async def test_a_queue_that_only_the_operator_cannot_read_stops_affecting_users(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        stage.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(2):
            await stage.run_once()
        assert stage.states() == (False, True, "QueueUnreachable")
        for _ in range(12):
            await stage.run_once()
        assert stage.states() == (True, True, "QueueUnreachable")
        stage.queue_error = ""
        await stage.run_once()
        stage.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(2):
            await stage.run_once()
        assert stage.states() == (False, True, "QueueUnreachable"), "the time starts again"

    async def test_a_failed_reconcile_is_repeated_once_aws_answers(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned(Problem("Unavailable", "sqs:GetQueueUrl: no answer"))
        stage.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(3):
            await stage.run_once()
        assert stage.states() == (False, True, "QueueUnreachable")
        assert stage.requests == []
        stage.queue_error = ""
        for _ in range(3):
            await stage.run_once()
        assert len(stage.requests) == 1

    @pytest.mark.parametrize("reason", [DegradedReason.QUEUE_MISSING, DegradedReason.MOMENTO_CACHE_MISSING])
    async def test_a_deleted_resource_is_provisioned_again_at_once(self, reason: DegradedReason) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        fault = ReportedFault(reason, "it does not exist", is_blocking=True)
        stage.readiness_client.reports = {name: ReadinessReport(faults=(fault,)) for name in ("i1", "i2")}
        for _ in range(3):
            await stage.run_once()
        assert len(stage.requests) == 1


class TestUnreadableRelease:
    async def test_is_reported_once_it_lasts_and_until_it_can_be_read(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        stage.kubernetes.forbidden_path = "/pods"
        for seconds in (4.0, 4.0, 4.0):
            with pytest.raises(Refused):
                await stage.run_once(seconds)
            stage.now += seconds
        assert stage.states() == (None, True, "NotObserved")
        assert "pods is forbidden" in stage.condition(ConditionType.READY).message
        assert stage.kubernetes.condition(stage.object.ref, "Ready")["status"] == "Unknown"
        stage.kubernetes.forbidden_path = ""
        await stage.run_once()
        assert stage.states() == (True, False, "NoProblem")
        assert "NotReady" not in stage.kubernetes.events()


class TestFailedScaling:
    @pytest.mark.parametrize(("replicas", "ready"), [(0, False), (1, True)])
    async def test_affects_users_only_without_processors(self, *, replicas: int, ready: bool) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        stage.release.scale("processor", replicas)
        if not replicas:
            del stage.release.pods["p1"]
        stage.apply()
        message = "the processors cannot be scaled: Kubernetes, PATCH …/scale: forbidden"
        stage.status.set(ConditionType.SCALING, "CannotScale", message, status=False, generation=1)
        await stage.run_once()
        assert stage.states() == (True, False, "NoProblem")
        await stage.run_once()
        assert stage.states() == (ready, True, "CannotScale")
        assert stage.condition(ConditionType.DEGRADED).message == message


class TestConfirmation:
    async def test_an_object_is_missing_when_two_readings_miss_it(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        assert stage.release.objects is not None
        stage.release.objects -= {"Service/dev-token"}
        stage.apply()
        assert await stage.run_once() == 2.0
        assert stage.states() == (True, False, "NoProblem")
        await stage.run_once()
        assert stage.states() == (False, True, "ObjectMissing")

    async def test_a_pod_that_is_replaced_at_once_is_no_problem(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        gone = stage.release.pods.pop("i1")
        stage.apply()
        await stage.run_once()
        stage.release.pods["i1"] = gone
        stage.apply()
        await stage.run_once()
        assert stage.kubernetes.events() == ["Ready"]

    async def test_a_processor_that_misses_a_probe_while_it_is_busy_is_no_problem(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        well = stage.release.pods["p1"]
        for pod in (lost(well), well, lost(well), well):
            stage.release.pods["p1"] = pod
            stage.apply()
            await stage.run_once()
            assert stage.states() == (True, False, "NoProblem")

    async def test_a_pod_that_stays_unready_is_a_problem(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        stage.release.pods["i1"] = starting(stage.release.pods["i1"])
        stage.apply()
        for _ in range(2):
            await stage.run_once()
        assert stage.states() == (True, True, "PodsNotReady")

    async def test_a_deployment_that_is_created_again_is_no_problem_while_its_first_pods_start(self) -> None:
        stage = HealthLoopHarness()
        await stage.provisioned()
        await stage.run_once()
        stage.release.deployments["ingest"]["metadata"]["uid"] = "second"
        for name in ("i1", "i2"):
            stage.release.pods[name] = starting(stage.release.pods[name])
        stage.apply()
        for _ in range(2):
            await stage.run_once()
        assert stage.condition(ConditionType.DEGRADED).reason == "NoProblem"

    async def test_a_rollout_that_replaces_pods_before_new_ones_are_ready_is_no_problem(self) -> None:
        """As with four pods, of which Kubernetes replaces one at a time by default."""
        stage = HealthLoopHarness()
        await stage.provisioned()
        stage.release.begin_rollout("ingest")
        stage.apply()
        await stage.run_once()
        stage.release.pods["i1"] = starting(stage.release.pods["i1"])
        stage.apply()
        for _ in range(2):
            await stage.run_once()
        assert stage.states() == (True, False, "NoProblem")
