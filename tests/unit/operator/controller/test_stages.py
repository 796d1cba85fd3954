"""Which Stages are looked after, and how a watch gone deaf is noticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from k8s.operator.api.client import Json
from k8s.operator.api.stage import StageObject, stage_object
from k8s.operator.context import Tools
from k8s.operator.controller import stages as module
from k8s.operator.controller.stages import BEHIND_SECONDS, Stages
from k8s.operator.metrics import LAST_PASS
from services.common.background import Background
from tests.support.clock import ManualClock
from tests.support.fakes.kubernetes_in_memory import KubernetesInMemory
from tests.support.operator.in_memory import operator_settings, tools_of
from tests.support.waiting import wait_until


class StandIn:
    """A worker that works until its stage is said to be gone."""

    all: dict[str, "StandIn"]

    def __init__(self, tools: Tools, stage: StageObject) -> None:
        self.seen = [stage.generation]
        self.labels = stage.labels
        self.woken = 0
        self.gone = asyncio.Event()
        StandIn.all[stage.ref.uid] = self

    def see(self, stage: StageObject) -> None:
        self.seen.append(stage.generation)

    def wake(self) -> None:
        self.woken += 1

    async def run(self) -> None:
        await self.gone.wait()


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn.all = {}
    monkeypatch.setattr(module, "Worker", StandIn)


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    made = Background(lambda: None)
    yield made
    await made.close()


def body(uid: str = "a", generation: int = 1, namespace: str = "n", stage: str = "dev") -> Json:
    metadata = {"namespace": namespace, "name": f"release-{uid}", "uid": uid, "generation": generation}
    return {"metadata": metadata, "spec": {"stageName": stage}}


def some_stages(background: Background, clock: ManualClock, *namespaces: str) -> Stages:
    settings = operator_settings(namespaces=namespaces)
    return Stages(tools_of(KubernetesInMemory(), settings=settings), background, clock)


async def test_each_stage_has_one_worker_that_sees_what_the_watch_delivers(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    for generation in (1, 2):
        stages.watched(body("a", generation))
    stages.watched(body("b"))
    assert {uid: worker.seen for uid, worker in StandIn.all.items()} == {"a": [1, 2], "b": [1]}


async def test_stages_of_other_namespaces_are_left_alone(background: Background) -> None:
    stages = some_stages(background, ManualClock(), "n")
    stages.watched(body(namespace="other"))
    stages.compare([stage_object(body(namespace="other"))])
    assert StandIn.all == {}
    assert stages.not_live() is None


async def test_what_the_watch_missed_is_taken_from_a_list_at_once(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.watched(body("a", 1))
    stages.compare([stage_object(body("a", 2)), stage_object(body("b"))])
    assert {uid: worker.seen for uid, worker in StandIn.all.items()} == {"a": [1, 2], "b": [1]}


async def test_a_watch_that_goes_on_missing_changes_is_not_live(background: Background) -> None:
    clock = ManualClock(1000.0)
    stages = some_stages(background, clock)
    stages.compare([stage_object(body())])
    clock.advance(BEHIND_SECONDS - 1)
    stages.compare([stage_object(body())])
    assert stages.not_live() is None

    clock.advance(2)
    assert "missed changes" in (stages.not_live() or "")

    stages.watched(body())
    stages.compare([stage_object(body())])
    assert stages.not_live() is None


async def test_a_watch_that_delivers_late_is_live(background: Background) -> None:
    clock = ManualClock(1000.0)
    stages = some_stages(background, clock)
    for generation in range(1, 20):
        stages.compare([stage_object(body("a", generation))])
        stages.watched(body("a", generation))
        clock.advance(30)
        stages.compare([stage_object(body("a", generation))])
    assert stages.not_live() is None


async def test_one_that_is_said_to_be_gone_looks_for_itself(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.watched(body())
    stages.forgotten(body())
    assert StandIn.all["a"].woken == 1


async def test_nothing_is_kept_of_a_stage_that_went_unseen(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.watched(body("a", 7))
    StandIn.all["a"].gone.set()
    await wait_until(lambda: REGISTRY.get_sample_value("notification_api_operator_stages") == 0)

    stages.watched(body("a", 1))  # as if it had never been
    assert StandIn.all["a"].seen == [1]
    stages.compare([stage_object(body("a", 2))])
    assert StandIn.all["a"].seen == [1, 2]


def last_pass() -> float | None:
    return REGISTRY.get_sample_value(
        "notification_api_operator_last_reconcile_timestamp_seconds", {"namespace": "n", "stage": "dev"}
    )


async def test_the_series_of_a_stage_outlive_a_second_of_its_name(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.watched(body("a"))
    stages.watched(body("refused"))
    LAST_PASS.labels("n", "dev").set(1)

    StandIn.all["refused"].gone.set()
    await wait_until(lambda: REGISTRY.get_sample_value("notification_api_operator_stages") == 1)
    assert last_pass() == 1

    StandIn.all["a"].gone.set()
    await wait_until(lambda: last_pass() is None)
