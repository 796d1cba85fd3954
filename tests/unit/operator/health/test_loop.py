"""The loop around the judgement: one writer of Ready and Degraded, and Events on changes alone."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from k8s.operator.api.client import Json, Refused
from k8s.operator.api.events import Events
from k8s.operator.api.outputs_configmap import FIRST_ANNOTATION, checksum
from k8s.operator.api.pod_state import PodState
from k8s.operator.api.readiness import REASONS, ReadinessReport, ReportedFault, parsed
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.releases import Releases
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import Condition, ConditionType, StageStatus
from k8s.operator.health.judge import COMPONENTS
from k8s.operator.health.loop import HealthLoop
from k8s.operator.health.problems import Problem
from k8s.operator.health.stage_health import EVENT_AGAIN_SECONDS, StageHealth
from k8s.operator.metrics import remove_stage_series
from services.common.telemetry.faults import Cause
from tests.support.fakes.kubernetes import InMemoryKubernetes, labels
from tests.support.helm_charts import ROOT
from tests.support.operator.release import NOW, ReleaseScene, container, lost, starting, waiting

OUTPUTS = {"TASK_QUEUE_URL": "http://sqs/tasks"}
WARNINGS = (Problem("Warnings", "the pool's settings differ"),)


@pytest.fixture(autouse=True)
def _no_series_left() -> Iterator[None]:
    yield
    remove_stage_series("n", "dev")


def times_to_ready() -> float:
    return REGISTRY.get_sample_value("notification_api_operator_time_to_ready_seconds_count") or 0.0


class MayNotList(InMemoryKubernetes):
    """As with the RBAC rules of an older chart."""

    refused = ""

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        if self.refused and path.endswith(self.refused):
            raise Refused(f"{path.rpartition('/')[2]} is forbidden", 403)
        return await super().items(path, fresh=fresh, **query)


class Pods:
    """Answers for pods by name."""

    def __init__(self) -> None:
        self.answers: dict[str, ReadinessReport] = {}

    async def all(self, pods: list[PodState]) -> dict[str, ReadinessReport]:
        return {pod.name: self.answers.get(pod.name, ReadinessReport()) for pod in pods}


class Scene:
    """One stage in an API server in memory; `objects` are its release's."""

    def __init__(self, status: Json | None = None) -> None:
        self.kubernetes, self.pods, self.now = MayNotList(), Pods(), 1_000.0
        self.release = ReleaseScene()
        self.outputs: Mapping[str, str] | None = None
        self.queue_error = ""
        self.woken: list[float] = []
        self.put()
        self.stage = self.kubernetes.put_stage()
        if status:
            self.kubernetes.objects[self.stage.ref.path]["status"] = status
            self.stage = self.kubernetes.stage(self.stage.ref)
        self.start()

    def start(self) -> None:
        """As an operator that has just started."""
        self.status = StageStatus(self.stage)
        events = Events(self.kubernetes)
        self.health = StageHealth(self.status, events, clock=lambda: self.now)
        context = SimpleNamespace(
            kubernetes=self.kubernetes,
            events=events,
            readiness=self.pods,
            releases=Releases(self.kubernetes, clock=lambda: self.now),
        )
        self.loop = HealthLoop(
            cast("Any", context),
            self.status,
            self.health,
            queue_error=lambda: self.queue_error,
            outputs=lambda: self.outputs,
            wake=lambda: self.woken.append(self.now),
            clock=lambda: self.now,
            today=lambda: NOW,
        )

    def put(self) -> None:
        """Have the API server say what `release` says, and nothing else of it."""
        objects = self.kubernetes.objects
        for path in [path for path in objects if "/stages/" not in path and "/events/" not in path]:
            del objects[path]
        for body in self.release.deployments.values():
            self.kubernetes.put(f"/apis/apps/v1/namespaces/n/deployments/{body['metadata']['name']}", body)
        for name, body in self.release.pods.items():
            self.kubernetes.put(f"/api/v1/namespaces/n/pods/{name}", body)
        for each in sorted(self.release.objects or ()):
            kind, name = each.split("/")
            metadata = {"name": name, "namespace": "n", "labels": labels("x")}
            self.kubernetes.put(f"/api/v1/namespaces/n/{kind.lower()}s/{name}", {"metadata": metadata})

    async def turn(self, seconds: float = 4.0) -> float:
        pause = await self.loop.turn(self.stage)
        self.now += seconds
        return pause

    async def is_made(self, *problems: Problem) -> None:
        await self.health.provisioned(self.stage, problems, is_made=True)

    def condition(self, kind: ConditionType) -> Condition:
        found = self.status.condition(kind)
        assert found is not None
        return found

    def said(self) -> tuple[bool | None, bool | None, str]:
        degraded = self.condition(ConditionType.DEGRADED)
        return self.condition(ConditionType.READY).status, degraded.status, degraded.reason


class TestReady:
    async def test_a_stage_is_ready_when_token_and_ingest_have_pods(self) -> None:
        scene, before = Scene(), times_to_ready()
        await scene.is_made()
        ready = scene.release.pods["t1"], scene.release.pods["t2"]
        scene.release.pods |= {"t1": starting(ready[0]), "t2": starting(ready[1])}
        scene.put()
        await scene.turn()
        assert scene.condition(ConditionType.READY).message == "dev-token: 0 of 2 pods ready"
        scene.release.pods["t1"] = ready[0]
        scene.put()
        await scene.turn()
        assert scene.condition(ConditionType.READY).status is True
        assert times_to_ready() == before + 1

    async def test_an_old_stage_that_recovers_is_no_new_one(self) -> None:
        scene, before = Scene(), times_to_ready()
        await scene.is_made()
        await scene.turn()
        scene.start()
        scene.stage = scene.kubernetes.stage(scene.stage.ref)
        scene.start()
        await scene.is_made()
        scene.release.deployments["token"]["spec"]["replicas"] = 0
        scene.put()
        await scene.turn()
        scene.release.deployments["token"]["spec"]["replicas"] = 2
        scene.put()
        await scene.turn()
        assert scene.condition(ConditionType.READY).status is True
        assert times_to_ready() == before + 1

    async def test_a_stage_that_was_never_made_is_not_ready_whatever_its_pods_do(self) -> None:
        scene = Scene()
        await scene.health.provisioned(scene.stage, (Problem("Refused", "sqs: AccessDenied"),), is_made=False)
        await scene.turn()
        assert scene.condition(ConditionType.READY).reason == "NotProvisioned"
        assert scene.condition(ConditionType.READY).message == "sqs: AccessDenied"

    async def test_it_is_read_each_second_while_pods_start_and_seldom_once_they_may_never_come(self) -> None:
        scene = Scene()
        await scene.is_made()
        scene.release.pods = {name: starting(pod) for name, pod in scene.release.pods.items()}
        scene.put()
        assert await scene.turn(60) == 1.0
        assert await scene.turn(120) == 1.0
        assert await scene.turn() > 2.0


class TestTwoWriters:
    async def test_what_provisioning_and_the_release_say_is_merged(self) -> None:
        scene = Scene()
        await scene.is_made(*WARNINGS)
        scene.release.pods["t1"] = waiting(scene.release.pods["t1"], "ImagePullBackOff")
        scene.put()
        await scene.turn()
        assert scene.said() == (True, True, "ImagePullFailed")
        assert "and 1 more: the pool's settings differ" in scene.condition(ConditionType.DEGRADED).message
        await scene.is_made()
        assert scene.condition(ConditionType.DEGRADED).message.startswith(
            "dev-token: 1 of 2 pods ready: ImagePullBackOff"
        )

    async def test_a_pass_does_not_take_back_what_the_operator_before_has_seen(self) -> None:
        old = {
            "type": "Degraded",
            "status": "True",
            "reason": "ImagePullFailed",
            "message": "x",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        scene = Scene({"conditions": [old]})
        await scene.is_made()
        assert scene.condition(ConditionType.DEGRADED).reason == "ImagePullFailed"
        await scene.turn()
        assert scene.condition(ConditionType.DEGRADED).reason == "NoProblem"

    async def test_a_removal_says_what_it_waits_for_and_nothing_else(self) -> None:
        scene = Scene()
        await scene.is_made(*WARNINGS)
        await scene.turn()
        await scene.health.removing(scene.stage, "WaitingForProcessor", "1 processor is about to stop")
        assert scene.said() == (False, False, "NoProblem")
        assert scene.condition(ConditionType.READY).reason == "WaitingForProcessor"

    async def test_a_queue_that_the_operator_alone_cannot_read_is_no_users_problem_after_a_while(self) -> None:
        scene = Scene()
        await scene.is_made()
        scene.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(2):
            await scene.turn()
        assert scene.said() == (False, True, "QueueUnreachable")
        for _ in range(12):
            await scene.turn()
        assert scene.said() == (True, True, "QueueUnreachable")
        scene.queue_error = ""
        await scene.turn()
        scene.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(2):
            await scene.turn()
        assert scene.said() == (False, True, "QueueUnreachable"), "the time is counted anew"

    async def test_a_pass_that_failed_is_tried_again_once_aws_answers(self) -> None:
        scene = Scene()
        await scene.is_made(Problem("Unavailable", "sqs:GetQueueUrl: no answer"))
        scene.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
        for _ in range(3):
            await scene.turn()
        assert scene.said() == (False, True, "QueueUnreachable")
        assert scene.woken == []
        scene.queue_error = ""
        for _ in range(3):
            await scene.turn()
        assert len(scene.woken) == 1

    @pytest.mark.parametrize("reason", [DegradedReason.QUEUE_MISSING, DegradedReason.MOMENTO_CACHE_MISSING])
    async def test_what_was_deleted_is_made_again_at_once(self, reason: DegradedReason) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        fault = ReportedFault(reason, "it does not exist", is_blocking=True)
        scene.pods.answers = {name: ReadinessReport(faults=(fault,)) for name in ("i1", "i2")}
        for _ in range(3):
            await scene.turn()
        assert len(scene.woken) == 1


class TestAReleaseThatCannotBeRead:
    async def test_is_said_once_it_lasts_and_is_over_when_it_can(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        scene.kubernetes.refused = "/pods"
        for seconds in (4.0, 4.0, 4.0):
            with pytest.raises(Refused):
                await scene.turn(seconds)
            scene.now += seconds
        assert scene.said() == (None, True, "NotObserved")
        assert "pods is forbidden" in scene.condition(ConditionType.READY).message
        assert scene.kubernetes.condition(scene.stage.ref, "Ready")["status"] == "Unknown"
        scene.kubernetes.refused = ""
        await scene.turn()
        assert scene.said() == (True, False, "NoProblem")
        assert "NotReady" not in scene.kubernetes.events()


class TestProcessorsThatCannotBeScaled:
    @pytest.mark.parametrize(("replicas", "ready"), [(0, False), (1, True)])
    async def test_serve_nobody_where_there_are_none(self, *, replicas: int, ready: bool) -> None:
        scene = Scene()
        await scene.is_made()
        scene.release.scale("processor", replicas)
        if not replicas:
            del scene.release.pods["p1"]
        scene.put()
        message = "the processors cannot be scaled: Kubernetes, PATCH …/scale: forbidden"
        scene.status.set(ConditionType.SCALING, "CannotScale", message, status=False, generation=1)
        await scene.turn()
        assert scene.said() == (True, False, "NoProblem")
        await scene.turn()
        assert scene.said() == (ready, True, "CannotScale")
        assert scene.condition(ConditionType.DEGRADED).message == message


class TestConfirmation:
    async def test_an_object_is_missing_when_two_readings_say_so(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        assert scene.release.objects is not None
        scene.release.objects -= {"Service/dev-token"}
        scene.put()
        assert await scene.turn() == 2.0
        assert scene.said() == (True, False, "NoProblem")
        await scene.turn()
        assert scene.said() == (False, True, "ObjectMissing")

    async def test_a_pod_that_is_replaced_at_once_is_no_problem(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        gone = scene.release.pods.pop("i1")
        scene.put()
        await scene.turn()
        scene.release.pods["i1"] = gone
        scene.put()
        await scene.turn()
        assert scene.kubernetes.events() == ["Ready"]

    async def test_a_processor_that_misses_a_probe_while_it_is_busy_is_no_problem(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        well = scene.release.pods["p1"]
        for pod in (lost(well), well, lost(well), well):
            scene.release.pods["p1"] = pod
            scene.put()
            await scene.turn()
            assert scene.said() == (True, False, "NoProblem")

    async def test_one_that_is_not_is_one(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        scene.release.pods["i1"] = starting(scene.release.pods["i1"])
        scene.put()
        for _ in range(2):
            await scene.turn()
        assert scene.said() == (True, True, "PodsNotReady")


class TestEvents:
    async def test_a_problem_that_lasts_is_one_event_and_its_end_another(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        well = scene.release.pods["t1"]
        scene.release.pods["t1"] = waiting(well, "ImagePullBackOff")
        scene.put()
        for _ in range(5):
            await scene.turn()
        scene.release.pods["t1"] = well
        scene.put()
        await scene.turn()
        assert scene.kubernetes.events() == ["Ready", "ImagePullFailed", "Recovered"]

    async def test_one_that_comes_and_goes_is_repeated_after_ten_minutes_only(self) -> None:
        scene = Scene()
        await scene.is_made()
        well = scene.release.pods["t1"]
        for _ in range(10):
            for pod in (well, waiting(well, "ImagePullBackOff")):
                scene.release.pods["t1"] = pod
                scene.put()
                await scene.turn(EVENT_AGAIN_SECONDS / 100)
        assert scene.kubernetes.events().count("ImagePullFailed") == 1
        scene.now += EVENT_AGAIN_SECONDS
        scene.release.pods["t1"] = well
        scene.put()
        await scene.turn()
        scene.release.pods["t1"] = waiting(well, "ImagePullBackOff")
        scene.put()
        await scene.turn()
        assert scene.kubernetes.events().count("ImagePullFailed") == 2

    async def test_a_stage_that_is_ready_again_says_so_each_time_that_it_said_it_was_not(self) -> None:
        scene = Scene()
        await scene.is_made()
        for replicas in (2, 0, 2, 0, 2):
            scene.release.deployments["token"]["spec"]["replicas"] = replicas
            scene.put()
            await scene.turn()
        said = [event for event in scene.kubernetes.events() if event in ("Ready", "NotReady")]
        assert said == ["Ready", "NotReady", "Ready"]

    async def test_a_crash_loop_writes_once_through_all_of_its_restarts(self) -> None:
        scene = Scene()
        await scene.is_made()
        await scene.turn()
        ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
        for restarts in range(1, 5):
            pod = waiting(scene.release.pods["t1"], "CrashLoopBackOff", lastState=ended, restartCount=restarts)
            again = starting(pod)
            container(again)["lastState"] = ended
            for each in (pod, again):
                scene.release.pods["t1"] = each
                scene.put()
                await scene.turn()
        patches = [call for call in scene.kubernetes.calls.made if call.endswith("/status")]
        assert len(patches) == 2
        assert scene.condition(ConditionType.DEGRADED).message.startswith(
            "dev-token: 1 of 2 pods ready: crashed: exit code 1"
        )


class TestOutputs:
    async def test_that_were_deleted_come_back_in_the_next_turn(self) -> None:
        scene = Scene()
        scene.outputs = OUTPUTS
        del scene.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await scene.turn()
        del scene.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await scene.turn()
        assert scene.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]["data"] == OUTPUTS

    async def test_that_were_deleted_roll_no_pods(self) -> None:
        scene = Scene()
        scene.outputs, path = OUTPUTS, "/api/v1/namespaces/n/configmaps/dev-outputs"
        del scene.kubernetes.objects[path]
        for name in scene.release.pods:
            del scene.kubernetes.objects[f"/api/v1/namespaces/n/pods/{name}"]
        await scene.turn()
        first = scene.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION]
        for name, pod in scene.release.pods.items():
            scene.kubernetes.put(f"/api/v1/namespaces/n/pods/{name}", pod)
        await scene.turn()
        del scene.kubernetes.objects[path]
        await scene.turn()
        assert scene.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION] == first == checksum(OUTPUTS)

    async def test_that_were_changed_by_hand_are_changed_back(self) -> None:
        scene = Scene()
        scene.outputs = OUTPUTS
        path = "/api/v1/namespaces/n/configmaps/dev-outputs"
        del scene.kubernetes.objects[path]
        await scene.turn()
        scene.kubernetes.objects[path]["data"] = {"TASK_QUEUE_URL": "http://elsewhere", "MORE": "x"}
        await scene.turn()
        assert scene.kubernetes.objects[path]["data"] == OUTPUTS
        assert scene.kubernetes.events().count("Changed") == 2

    async def test_that_are_right_are_not_written(self) -> None:
        scene = Scene()
        scene.outputs = OUTPUTS
        del scene.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await scene.turn()
        scene.kubernetes.calls.forget()
        await scene.turn()
        assert [call for call in scene.kubernetes.calls.made if "configmaps/" in call] == []

    async def test_of_somebody_else_are_left_to_the_pass_that_reports_them(self) -> None:
        scene = Scene()
        scene.outputs = OUTPUTS
        await scene.is_made()
        await scene.turn()
        assert scene.said() == (True, False, "NoProblem")
        assert "data" not in scene.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]


async def test_an_operator_that_may_not_list_services_judges_the_rest() -> None:
    scene = Scene()
    forbidden = MayNotList()
    forbidden.objects, forbidden.refused = scene.kubernetes.objects, "/services"
    release = await Releases(forbidden).of(scene.stage.ref, 1.0)
    assert release.objects is None
    assert sorted(release.deployments) == sorted(COMPONENTS)


async def test_a_namespace_in_which_it_may_not_list_hides_nothing_of_the_others() -> None:
    scene = Scene()
    forbidden = MayNotList()
    forbidden.objects = scene.kubernetes.objects
    forbidden.refused = "/api/v1/namespaces/gone/services"
    release = await Releases(forbidden, ["gone", "n"]).of(scene.stage.ref, 1.0)
    assert release.objects is not None
    assert "Service/dev-token" in release.objects


async def test_many_stages_share_one_reading() -> None:
    scene = Scene()
    releases = Releases(scene.kubernetes, clock=lambda: scene.now)
    for number in range(20):
        await releases.of(_other(scene.stage, number), 0.5)
    assert len([call for call in scene.kubernetes.calls.made if call.startswith("List")]) == 5


async def test_a_copy_of_a_deployment_is_none_of_the_release() -> None:
    scene = Scene()
    copied = {**scene.release.deployments["token"], "spec": {"replicas": 7, "template": {}}}
    copied["metadata"] = {**copied["metadata"], "name": "dev-token-copy"}
    scene.kubernetes.put("/apis/apps/v1/namespaces/n/deployments/dev-token-copy", copied)
    release = await Releases(scene.kubernetes).of(scene.stage.ref, 1.0)
    assert release.deployments["token"].name == "dev-token"
    assert sorted(release.deployments) == sorted(COMPONENTS)


class Slow(InMemoryKubernetes):
    """Each list takes a while."""

    seconds = 0.0
    now = 0.0

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        await asyncio.sleep(0)
        if path.endswith("/pods"):
            self.now += self.seconds
        return await super().items(path, fresh=fresh, **query)


async def test_stages_that_wait_for_a_slow_reading_share_it() -> None:
    scene, slow = Scene(), Slow()
    slow.objects, slow.seconds = scene.kubernetes.objects, 3.0
    releases = Releases(slow, clock=lambda: slow.now)
    await asyncio.gather(*(releases.of(_other(scene.stage, number), 0.5) for number in range(20)))
    assert len([call for call in slow.calls.made if call.startswith("List")]) == 5


def _other(stage: StageObject, number: int) -> Any:
    return SimpleNamespace(namespace="n", name=f"{stage.ref.name}-{number}")


def test_every_reason_is_in_the_documents_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/operator.md").read_text(), re.MULTILINE)
    assert rows[: len(DegradedReason)] == [reason.value for reason in DegradedReason]


class TestAnswers:
    def test_every_cause_that_a_service_reports_has_a_reason(self) -> None:
        assert set(REASONS) == {cause.value for cause in Cause}

    def test_control_characters_are_left_out(self) -> None:
        said = parsed(
            rb'{"reasons":{"queue":"no\nline\u001b[2J"},"faults":[{"cause":"queue_missing","message":"\u0000"}]}'
        )
        assert said.reasons == {"queue": "no line [2J"}
        assert said.faults[0].message == " "

    def test_faults_reasons_and_warnings_are_read(self) -> None:
        body = b"""{"ready": false, "reasons": {"momento": "x"}, "warnings": {"receiving": "paused"},
            "faults": [{"cause": "queue_unreachable", "message": "SQS is unreachable", "blocking": false}]}"""
        answer = parsed(body)
        assert (answer.reasons, answer.paused_because) == ({"momento": "x"}, "paused")
        [fault] = answer.faults
        assert (fault.reason, fault.is_blocking) == (DegradedReason.QUEUE_UNREACHABLE, False)

    @pytest.mark.parametrize(
        "body", [b"", b"live", b"[]", b"3", b'{"faults": 1}', b'{"faults": [1]}', b'{"faults": [{"cause": "new"}]}']
    )
    def test_what_is_no_answer_says_nothing(self, body: bytes) -> None:
        assert parsed(body) == ReadinessReport()
