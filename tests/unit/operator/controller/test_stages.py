"""Which Stages are managed, and how a watch that misses changes is detected."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from k8s.operator.api.client import Json
from k8s.operator.api.stage import StageObject, stage_object
from k8s.operator.context import Context
from k8s.operator.controller import stages as module
from k8s.operator.controller.stages import MAX_WATCH_LAG_SECONDS, Stages
from k8s.operator.metrics import LAST_RECONCILE
from services.common.background import Background
from tests.support.clock import ManualClock
from tests.support.fakes.kubernetes import InMemoryKubernetes
from tests.support.operator.in_memory import make_context, operator_settings
from tests.support.waiting import wait_until


class FakeController:
    """A controller that runs until `deleted` is set."""

    all: dict[str, "FakeController"]

    def __init__(self, context: Context, stage: StageObject) -> None:
        self.generations = [stage.generation]
        self.labels = stage.labels
        self.requests = 0
        self.deleted = asyncio.Event()
        FakeController.all[stage.ref.uid] = self

    def update(self, stage: StageObject) -> None:
        self.generations.append(stage.generation)

    def request_reconcile(self) -> None:
        self.requests += 1

    async def run(self) -> None:
        await self.deleted.wait()


@pytest.fixture(autouse=True)
def _fake_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeController.all = {}
    monkeypatch.setattr(module, "StageController", FakeController)


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
    return Stages(make_context(InMemoryKubernetes(), settings=settings), background, clock)


async def test_each_stage_has_one_controller_that_gets_what_the_watch_delivers(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    for generation in (1, 2):
        stages.on_change(body("a", generation))
    stages.on_change(body("b"))
    assert {uid: controller.generations for uid, controller in FakeController.all.items()} == {"a": [1, 2], "b": [1]}


async def test_stages_of_other_namespaces_are_ignored(background: Background) -> None:
    stages = some_stages(background, ManualClock(), "n")
    stages.on_change(body(namespace="other"))
    stages.compare([stage_object(body(namespace="other"))])
    assert FakeController.all == {}
    assert stages.liveness_problem() is None


async def test_what_the_watch_missed_is_taken_from_a_list_at_once(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.on_change(body("a", 1))
    stages.compare([stage_object(body("a", 2)), stage_object(body("b"))])
    assert {uid: controller.generations for uid, controller in FakeController.all.items()} == {"a": [1, 2], "b": [1]}


async def test_a_watch_that_keeps_missing_changes_is_not_live(background: Background) -> None:
    clock = ManualClock(1000.0)
    stages = some_stages(background, clock)
    stages.compare([stage_object(body())])
    clock.advance(MAX_WATCH_LAG_SECONDS - 1)
    stages.compare([stage_object(body())])
    assert stages.liveness_problem() is None

    clock.advance(2)
    assert "missed changes" in (stages.liveness_problem() or "")

    stages.on_change(body())
    stages.compare([stage_object(body())])
    assert stages.liveness_problem() is None


async def test_a_watch_that_delivers_late_is_live(background: Background) -> None:
    clock = ManualClock(1000.0)
    stages = some_stages(background, clock)
    for generation in range(1, 20):
        stages.compare([stage_object(body("a", generation))])
        stages.on_change(body("a", generation))
        clock.advance(30)
        stages.compare([stage_object(body("a", generation))])
    assert stages.liveness_problem() is None


async def test_a_deleted_stage_is_reconciled(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.on_change(body())
    stages.on_delete(body())
    assert FakeController.all["a"].requests == 1


async def test_nothing_is_kept_of_a_stage_whose_deletion_the_watch_missed(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.on_change(body("a", 7))
    FakeController.all["a"].deleted.set()
    await wait_until(lambda: REGISTRY.get_sample_value("notification_api_operator_stages") == 0)

    stages.on_change(body("a", 1))  # as a new Stage
    assert FakeController.all["a"].generations == [1]
    stages.compare([stage_object(body("a", 2))])
    assert FakeController.all["a"].generations == [1, 2]


def last_reconcile() -> float | None:
    return REGISTRY.get_sample_value(
        "notification_api_operator_last_reconcile_timestamp_seconds", {"namespace": "n", "stage": "dev"}
    )


async def test_the_series_of_a_stage_outlive_a_second_of_its_name(background: Background) -> None:
    stages = some_stages(background, ManualClock())
    stages.on_change(body("a"))
    stages.on_change(body("refused"))
    LAST_RECONCILE.labels("n", "dev").set(1)

    FakeController.all["refused"].deleted.set()
    await wait_until(lambda: REGISTRY.get_sample_value("notification_api_operator_stages") == 1)
    assert last_reconcile() == 1

    FakeController.all["a"].deleted.set()
    await wait_until(lambda: last_reconcile() is None)
