"""A stage's two loops side by side, and stages side by side with others that hang."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from k8s.operator.api.stage import StageObject
from k8s.operator.context import Tools
from k8s.operator.controller import reconciler as keeper_module
from k8s.operator.controller.finalize import Waiting
from k8s.operator.controller.provision import Provisioned
from k8s.operator.controller.stage_controller import Worker
from k8s.operator.resources.errors import Permanent, ResourceUnavailable
from k8s.operator.resources.outputs import StageOutputs
from k8s.operator.scaling.loop import ScalingLoop
from tests.support.fakes.kubernetes_in_memory import KubernetesInMemory
from tests.support.operator.in_memory import keeper_of, tools_of
from tests.support.waiting import wait_until

OUTPUTS = StageOutputs("queue", "a:b:c:d:e", "dlq", "a:b:c:d:f", "pool", "client", "issuer", "jwks", "cache")


class Cloud:
    """Stands in for AWS and Momento: makes and removes at once, except for stages that hang."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.hanging: set[str] = set()
        self.begun: list[str] = []
        self.answer = asyncio.Event()
        self.removing = 0
        self.waiting: Waiting | None = None

    async def provision(self, _tools: Tools, stage: StageObject, *_: object) -> Provisioned:
        self.begun.append(stage.ref.name)
        if stage.ref.name in self.hanging:
            await self.answer.wait()
            raise ResourceUnavailable("sqs:GetQueueUrl: no answer within 30 s", 0.0)
        self.made.append(stage.ref.name)
        return Provisioned(OUTPUTS, (), ())

    async def tear_down(self, _tools: Tools, _stage: StageObject, _told: set[str]) -> Waiting | None:
        self.removing += 1
        return self.waiting


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    made = Cloud()
    monkeypatch.setattr(keeper_module, "provision", made.provision)
    monkeypatch.setattr(keeper_module, "tear_down", made.tear_down)
    yield made
    made.answer.set()


class Turns:
    """Stands in for the scaling: each turn lasts until it is let go on."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()

    async def turn(self, _stage: StageObject, _queue_url: str) -> float:
        self.begun += 1
        await self.go_on.wait()
        return 0.001


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    made = Turns()
    monkeypatch.setattr(ScalingLoop, "turn", lambda _self, stage, url: made.turn(stage, url))
    return made


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_stage_is_removed_between_two_turns_of_scaling_and_never_during_one(cloud: Cloud, turns: Turns) -> None:
    kubernetes = KubernetesInMemory()
    stage = kubernetes.put_stage()
    worker = Worker(tools_of(kubernetes), stage)
    async with running(worker) as task:
        await wait_until(lambda: turns.begun == 1)
        reads = kubernetes.calls.made.count(f"Get {stage.ref.path}")
        kubernetes.delete(stage.ref.path)
        worker.see(kubernetes.stage(stage.ref))
        await wait_until(lambda: kubernetes.calls.made.count(f"Get {stage.ref.path}") > reads)
        assert cloud.removing == 0

        turns.go_on.set()
        await asyncio.wait_for(task, 10)

    assert (cloud.removing, turns.begun) == (1, 1)


async def test_nothing_is_scaled_while_a_removal_waits(cloud: Cloud, turns: Turns) -> None:
    turns.go_on.set()
    kubernetes = KubernetesInMemory()
    stage = kubernetes.put_stage()
    worker = Worker(tools_of(kubernetes), stage)
    async with running(worker):
        await wait_until(lambda: turns.begun > 2)
        cloud.waiting = Waiting("WaitingForRelease", "one is left")
        kubernetes.delete(stage.ref.path)
        worker.see(kubernetes.stage(stage.ref))
        await wait_until(lambda: cloud.removing == 1)
        begun = turns.begun
        await wait_until(lambda: cloud.removing == 3)
        assert turns.begun == begun
        assert kubernetes.condition(stage.ref, "Ready")["reason"] == "WaitingForRelease"


async def test_stages_that_hang_hold_up_others_for_one_pass_at_most(cloud: Cloud) -> None:
    kubernetes = KubernetesInMemory()
    tools = tools_of(kubernetes)  # two at a time
    cloud.hanging = {"slow-1", "slow-2", "slow-3"}
    slow = [keeper_of(tools, stage) for stage in map(kubernetes.put_stage, sorted(cloud.hanging))]
    cloud.answer.set()
    for keeper in slow:
        await keeper.one_pass()
    cloud.answer.clear()
    hanging = [asyncio.create_task(keeper.one_pass()) for keeper in slow]
    await wait_until(lambda: len(cloud.begun) == 3 + 2)

    well = kubernetes.put_stage("well")
    async with asyncio.timeout(5):
        await keeper_of(tools, well).one_pass()

    assert cloud.made == ["well"]
    assert not any(task.done() for task in hanging)
    cloud.answer.set()
    await asyncio.gather(*hanging)


async def test_a_stage_that_is_well_again_is_counted_among_those_that_are(cloud: Cloud) -> None:
    kubernetes = KubernetesInMemory()
    tools = tools_of(kubernetes, retries=asyncio.Semaphore(1))
    stage = kubernetes.put_stage()
    keeper = keeper_of(tools, stage)
    cloud.hanging = {"dev"}
    cloud.answer.set()
    await keeper.one_pass()
    cloud.hanging.clear()
    await keeper.one_pass()

    async with tools.retries, asyncio.timeout(5):
        await keeper.one_pass()

    assert cloud.made == ["dev", "dev"]
    assert kubernetes.condition(stage.ref, "Degraded")["status"] == "False"


async def test_a_stage_replaced_by_another_of_its_name_is_gone(cloud: Cloud) -> None:
    kubernetes = KubernetesInMemory()
    stage = kubernetes.put_stage()
    kubernetes.objects[stage.ref.path]["metadata"]["uid"] = "another"
    assert await keeper_of(tools_of(kubernetes), stage).one_pass() is None
    assert cloud.begun == []


async def test_what_is_unforeseen_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Provisioned:
        raise ValueError("secret")

    monkeypatch.setattr(keeper_module, "provision", broken)
    kubernetes = KubernetesInMemory()
    stage = kubernetes.put_stage()
    assert await keeper_of(tools_of(kubernetes), stage).one_pass() is not None
    degraded = kubernetes.condition(stage.ref, "Degraded")
    assert degraded["reason"] == "InternalError"
    assert "secret" not in degraded["message"]


async def test_a_failure_that_lasts_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> Provisioned:
        raise Permanent("sqs:CreateQueue: AccessDenied")

    monkeypatch.setattr(keeper_module, "provision", refused)
    kubernetes = KubernetesInMemory()
    stage = kubernetes.put_stage()
    keeper = keeper_of(tools_of(kubernetes), stage)
    for _ in range(3):
        await keeper.one_pass()
    assert kubernetes.events() == ["Refused"]
