"""A stage is not scaled while it is removed, and stages that hang do not delay others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from k8s.operator.api.stage import StageObject
from k8s.operator.context import Context
from k8s.operator.controller import reconciler as reconciler_module
from k8s.operator.controller.finalize import RemovalPending
from k8s.operator.controller.provision import Provisioned
from k8s.operator.controller.stage_controller import StageController
from k8s.operator.resources.errors import ResourceUnavailable
from k8s.operator.resources.spec import StageOutputs
from k8s.operator.scaling.loop import ScalingLoop
from notification_api import PermanentError
from tests.support.fakes.kubernetes import InMemoryKubernetes
from tests.support.operator.in_memory import make_context, make_reconciler
from tests.support.waiting import wait_until

OUTPUTS = StageOutputs("queue", "a:b:c:d:e", "dlq", "a:b:c:d:f", "pool", "client", "issuer", "jwks", "cache")


class Cloud:
    """A fake of AWS and Momento: provisions and deletes immediately, except stages that hang."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.hanging: set[str] = set()
        self.begun: list[str] = []
        self.answer = asyncio.Event()
        self.removing = 0
        self.waiting: RemovalPending | None = None

    async def provision(self, _context: Context, stage: StageObject, *_: object) -> Provisioned:
        self.begun.append(stage.ref.name)
        if stage.ref.name in self.hanging:
            await self.answer.wait()
            raise ResourceUnavailable("sqs:GetQueueUrl: no answer within 30 s", 0.0)
        self.made.append(stage.ref.name)
        return Provisioned(OUTPUTS, "", (), ())

    async def finalize(self, _context: Context, _stage: StageObject, _reported: set[str]) -> RemovalPending | None:
        self.removing += 1
        return self.waiting


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    made = Cloud()
    monkeypatch.setattr(reconciler_module, "provision", made.provision)
    monkeypatch.setattr(reconciler_module, "finalize", made.finalize)
    yield made
    made.answer.set()


class FakeScaling:
    """Stands in for the scaling loop: each run lasts until `go_on` is set."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()

    async def turn(self, _stage: StageObject, _queue_url: str) -> float:
        self.begun += 1
        await self.go_on.wait()
        return 0.001


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> FakeScaling:
    made = FakeScaling()
    monkeypatch.setattr(ScalingLoop, "run_once", lambda _self, stage, url: made.turn(stage, url))
    return made


@asynccontextmanager
async def running(controller: StageController) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(controller.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_stage_is_removed_between_two_runs_of_scaling_and_never_during_one(
    cloud: Cloud, scaling: FakeScaling
) -> None:
    kubernetes = InMemoryKubernetes()
    stage = kubernetes.put_stage()
    controller = StageController(make_context(kubernetes), stage)
    async with running(controller) as task:
        await wait_until(lambda: scaling.begun == 1)
        reads = kubernetes.calls.made.count(f"Get {stage.ref.path}")
        kubernetes.delete(stage.ref.path)
        controller.update(kubernetes.stage(stage.ref))
        await wait_until(lambda: kubernetes.calls.made.count(f"Get {stage.ref.path}") > reads)
        assert cloud.removing == 0

        scaling.go_on.set()
        await asyncio.wait_for(task, 10)

    assert (cloud.removing, scaling.begun) == (1, 1)


async def test_nothing_is_scaled_while_a_removal_waits(cloud: Cloud, scaling: FakeScaling) -> None:
    scaling.go_on.set()
    kubernetes = InMemoryKubernetes()
    stage = kubernetes.put_stage()
    controller = StageController(make_context(kubernetes), stage)
    async with running(controller):
        await wait_until(lambda: scaling.begun > 2)
        cloud.waiting = RemovalPending("WaitingForRelease", "one is left")
        kubernetes.delete(stage.ref.path)
        controller.update(kubernetes.stage(stage.ref))
        await wait_until(lambda: cloud.removing == 1)
        begun = scaling.begun
        await wait_until(lambda: cloud.removing == 3)
        assert scaling.begun == begun
        assert kubernetes.condition(stage.ref, "Ready")["reason"] == "WaitingForRelease"


async def test_stages_that_hang_delay_others_for_one_reconcile_at_most(cloud: Cloud) -> None:
    kubernetes = InMemoryKubernetes()
    context = make_context(kubernetes)  # two at a time
    cloud.hanging = {"slow-1", "slow-2", "slow-3"}
    slow = [make_reconciler(context, stage) for stage in map(kubernetes.put_stage, sorted(cloud.hanging))]
    cloud.answer.set()
    for reconciler in slow:
        await reconciler.reconcile_once()
    cloud.answer.clear()
    hanging = [asyncio.create_task(reconciler.reconcile_once()) for reconciler in slow]
    await wait_until(lambda: len(cloud.begun) == 3 + 2)

    well = kubernetes.put_stage("well")
    async with asyncio.timeout(5):
        await make_reconciler(context, well).reconcile_once()

    assert cloud.made == ["well"]
    assert not any(task.done() for task in hanging)
    cloud.answer.set()
    await asyncio.gather(*hanging)


async def test_a_stage_that_recovered_uses_the_slots_of_healthy_stages(cloud: Cloud) -> None:
    kubernetes = InMemoryKubernetes()
    context = make_context(kubernetes, retry_slots=asyncio.Semaphore(1))
    stage = kubernetes.put_stage()
    reconciler = make_reconciler(context, stage)
    cloud.hanging = {"dev"}
    cloud.answer.set()
    await reconciler.reconcile_once()
    cloud.hanging.clear()
    await reconciler.reconcile_once()

    async with context.retry_slots, asyncio.timeout(5):
        await reconciler.reconcile_once()

    assert cloud.made == ["dev", "dev"]
    assert kubernetes.condition(stage.ref, "Degraded")["status"] == "False"


async def test_a_stage_replaced_by_another_of_its_name_is_gone(cloud: Cloud) -> None:
    kubernetes = InMemoryKubernetes()
    stage = kubernetes.put_stage()
    kubernetes.objects[stage.ref.path]["metadata"]["uid"] = "another"
    assert await make_reconciler(make_context(kubernetes), stage).reconcile_once() is None
    assert cloud.begun == []


async def test_an_unexpected_error_is_reported_and_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Provisioned:
        raise ValueError("secret")

    monkeypatch.setattr(reconciler_module, "provision", broken)
    kubernetes = InMemoryKubernetes()
    stage = kubernetes.put_stage()
    assert await make_reconciler(make_context(kubernetes), stage).reconcile_once() is not None
    degraded = kubernetes.condition(stage.ref, "Degraded")
    assert degraded["reason"] == "InternalError"
    assert "secret" not in degraded["message"]


async def test_a_failure_that_lasts_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> Provisioned:
        raise PermanentError("sqs:CreateQueue: AccessDenied")

    monkeypatch.setattr(reconciler_module, "provision", refused)
    kubernetes = InMemoryKubernetes()
    stage = kubernetes.put_stage()
    reconciler = make_reconciler(make_context(kubernetes), stage)
    for _ in range(3):
        await reconciler.reconcile_once()
    assert kubernetes.events() == ["Refused"]
