"""What a worker tells of its Stage whatever its passes come to: an alert is to see those that never succeed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from prometheus_client import REGISTRY

from k8s.operator.kubernetes import Json, Unreachable
from k8s.operator.stage_object import StageObject, StageRef
from k8s.operator.stages import Stages
from k8s.operator.tools import Tools
from k8s.operator.worker import Worker
from services.common.background import Background
from tests.support.keeper_world import operator_settings
from tests.support.operator_fakes import FakeKubernetes
from tests.support.soon import soon

DELETED_AT = 1_767_225_600.0


class RefusingKubernetes(FakeKubernetes):
    """Answers no read of the Stage, until it is gone."""

    is_gone = False

    async def get(self, path: str, **query: str) -> Json | None:
        if self.is_gone:
            return None
        raise Unreachable("connection refused")


def tools(kubernetes: FakeKubernetes) -> Tools:
    """As much as a pass needs that does not come far."""
    nothing = cast("Any", None)
    turns = asyncio.Semaphore()
    return Tools(
        nothing, kubernetes, sqs=nothing, idp=nothing, caches=nothing, scraper=nothing, decide=nothing,
        passes=turns, retries=turns,
    )  # fmt: skip


def a_stage(**metadata: str) -> StageObject:
    body = {"metadata": {"generation": 1, **metadata}, "spec": {"stageName": "dev"}}
    return StageObject(StageRef("shop", "release", "uid"), body)


def told(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"notification_api_operator_{name}", {"namespace": "shop", "stage": "dev"})


@asynccontextmanager
async def working(kubernetes: FakeKubernetes, stage: StageObject) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    worker = Worker(tools(kubernetes), stage)
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_stage_without_a_good_pass_is_known_since_it_was_taken_up() -> None:
    before = time.time()
    async with working(RefusingKubernetes(), a_stage()):
        await soon(lambda: told("taken_up_timestamp_seconds") is not None)
        assert before <= (told("taken_up_timestamp_seconds") or 0) <= time.time()
        assert told("last_pass_timestamp_seconds") is None
        assert told("deletion_timestamp_seconds") is None


async def test_a_deletion_is_known_since_it_was_asked_for() -> None:
    async with working(RefusingKubernetes(), a_stage()) as (worker, _):
        worker.see(a_stage(deletionTimestamp="2026-01-01T00:00:00Z"))
        await soon(lambda: told("deletion_timestamp_seconds") == DELETED_AT)


async def test_a_stage_that_is_gone_leaves_nothing_behind() -> None:
    kubernetes = RefusingKubernetes()
    background = Background(lambda: None)
    stages = Stages(replace(tools(kubernetes), settings=operator_settings()), background)
    stage = a_stage(name="release", namespace="shop", uid="uid", deletionTimestamp="2026-01-01T00:00:00Z")
    try:
        stages.watched(stage.body)
        await soon(lambda: told("deletion_timestamp_seconds") is not None)
        kubernetes.is_gone = True
        stages.forgotten(stage.body)
        await soon(lambda: told("taken_up_timestamp_seconds") is None)
        assert told("deletion_timestamp_seconds") is None
    finally:
        await background.close()
