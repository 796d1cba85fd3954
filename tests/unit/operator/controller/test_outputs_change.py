"""A reconcile changes the outputs while the health loop, which restores them, runs."""

import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from k8s.operator.api.client import Conflict, Json
from k8s.operator.api.outputs_configmap import write_outputs
from k8s.operator.api.stage import StageRef
from k8s.operator.api.status import StageStatus
from k8s.operator.controller import provision as provision_module
from k8s.operator.controller.reconciler import Reconciler
from k8s.operator.health.loop import HealthLoop
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.resources.spec import StageOutputs
from tests.support.fakes.kubernetes import InMemoryKubernetes, deployment, pod
from tests.support.operator.in_memory import OneMomento, make_context

PATH = "/api/v1/namespaces/n/configmaps/dev-outputs"
DEPLOYMENT = "/apis/apps/v1/namespaces/n/deployments/dev-processor"
OUTPUTS = StageOutputs("http://sqs/old", "a:b:c:d:e", "dlq", "a:b:c:d:f", "pool", "client", "issuer", "jwks", "cache")


class Interrupted(InMemoryKubernetes):
    """Somebody else acts just before or just after a call."""

    def __init__(self) -> None:
        super().__init__()
        self.before_patch: dict[str, Callable[[], Awaitable[Any]]] = {}

    async def patch(self, path: str, body: Json) -> Json:
        for part, act in list(self.before_patch.items()):
            if part in path:
                del self.before_patch[part]
                await act()
        return await super().patch(path, body)


class Scene:
    """A Stage with a processor, and its reconciler, which provisions `outputs`."""

    def __init__(self) -> None:
        self.outputs = OUTPUTS
        self.kubernetes = Interrupted()
        self.stage = self.kubernetes.put_stage()
        body = deployment("processor")
        body["metadata"]["namespace"] = "n"
        self.kubernetes.put(DEPLOYMENT, body)
        self.context = make_context(self.kubernetes, caches=OneMomento(cast("Any", None)))
        self.status = StageStatus(self.stage)
        self.health = StageHealth(self.status, self.context.events)
        self.reconciler = Reconciler(self.context, self.stage, self.status, self.health)

    async def provision_stage(self, *_: object) -> StageOutputs:
        return self.outputs


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene()
    monkeypatch.setattr(provision_module, "provision_stage", scene.provision_stage)
    return scene


async def test_pods_that_are_rolled_for_new_outputs_never_read_the_old_ones(scene: Scene) -> None:
    kubernetes, reconciler = scene.kubernetes, scene.reconciler
    async with scene.context.readiness_client:
        loop = HealthLoop(
            scene.context,
            scene.status,
            scene.health,
            queue_error=lambda: "",
            outputs=lambda: reconciler.environment,
            first_checksum=lambda: reconciler.first_checksum,
        )
        await reconciler.reconcile_once()
        scene.outputs = replace(OUTPUTS, queue_url="http://sqs/new")
        read: list[str] = []

        async def check_health_and_start_a_pod() -> None:
            await loop.run_once(scene.stage)
            read.append(kubernetes.objects[PATH]["data"]["TASK_QUEUE_URL"])

        kubernetes.before_patch["/deployments/"] = check_health_and_start_a_pod
        await reconciler.reconcile_once()

    assert read == ["http://sqs/new"]
    assert kubernetes.objects[PATH]["data"]["TASK_QUEUE_URL"] == "http://sqs/new"


async def test_outputs_that_were_deleted_are_written_again_and_roll_no_pods(scene: Scene) -> None:
    kubernetes, reconciler = scene.kubernetes, scene.reconciler
    await reconciler.reconcile_once()
    kubernetes.put("/api/v1/namespaces/n/pods/p", pod("p"))
    before = copy.deepcopy(kubernetes.objects[DEPLOYMENT])
    written = kubernetes.objects.pop(PATH)
    await reconciler.reconcile_once()
    assert kubernetes.objects[PATH]["data"] == written["data"]
    assert kubernetes.objects[DEPLOYMENT] == before


async def test_of_two_writers_the_one_that_read_before_the_other_wrote_is_refused() -> None:
    kubernetes, ref = Interrupted(), StageRef("n", "dev", "uid-of-dev")
    kubernetes.put("/api/v1/namespaces/n/pods/p", pod("p"))
    await write_outputs(kubernetes, ref, {"TASK_QUEUE_URL": "first"})
    kubernetes.before_patch["/configmaps/"] = lambda: write_outputs(kubernetes, ref, {"TASK_QUEUE_URL": "new"})
    with pytest.raises(Conflict):
        await write_outputs(kubernetes, ref, {"TASK_QUEUE_URL": "old"})
    assert kubernetes.objects[PATH]["data"] == {"TASK_QUEUE_URL": "new"}
