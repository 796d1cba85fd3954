"""What is told of a Stage whatever its passes come to: an alert is to see those that never succeed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import REGISTRY

from k8s.operator.api.client import Json, Unreachable
from k8s.operator.context import Tools
from k8s.operator.controller.stages import Stages
from k8s.operator.health.releases import Releases
from k8s.operator.metrics import forget_stage
from services.common.background import Background
from tests.support.fakes.kubernetes import FakeKubernetes
from tests.support.waiting import wait_until

DELETION = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
DELETED_AT = 1_767_225_600.0


class RefusingKubernetes(FakeKubernetes):
    """Answers no read of a Stage, until it is gone."""

    gone: frozenset[str] = frozenset()
    """Names of Stages."""

    async def get(self, path: str, **query: str) -> Json | None:
        if path.rsplit("/", 1)[-1] in self.gone:
            return None
        raise Unreachable("connection refused")


def a_stage(**metadata: str) -> Json:
    where = {"namespace": "shop", "name": "release", "uid": "uid", "generation": 1}
    return {"metadata": {**where, **metadata}, "spec": {"stageName": "dev"}}


def told(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"notification_api_operator_{name}", {"namespace": "shop", "stage": "dev"})


@asynccontextmanager
async def operating(kubernetes: FakeKubernetes) -> AsyncIterator[Stages]:
    """As much of an operator as a pass needs that does not come far."""
    nothing, settings = cast("Any", None), cast("Any", SimpleNamespace(namespaces=()))
    turns = asyncio.Semaphore()
    tools = Tools(
        settings, kubernetes, sqs=nothing, idp=nothing, caches=nothing, scraper=nothing, decide=nothing,
        releases=Releases(kubernetes), asker=nothing,
        passes=turns, retries=turns,
    )  # fmt: skip
    background = Background(on_failure=lambda: None)
    try:
        yield Stages(tools, background)
    finally:
        await background.close()
        forget_stage("shop", "dev")


async def test_a_stage_without_a_good_pass_is_known_since_it_was_taken_up() -> None:
    before = time.time()
    async with operating(RefusingKubernetes()) as stages:
        stages.watched(a_stage())
        await wait_until(lambda: told("stage_first_seen_timestamp_seconds") is not None)
        assert before <= (told("stage_first_seen_timestamp_seconds") or 0) <= time.time()
        assert told("last_reconcile_timestamp_seconds") is None
        assert told("deletion_timestamp_seconds") is None


async def test_a_deletion_is_known_since_it_was_asked_for() -> None:
    async with operating(RefusingKubernetes()) as stages:
        stages.watched(a_stage())
        stages.watched(a_stage(**DELETION))
        await wait_until(lambda: told("deletion_timestamp_seconds") == DELETED_AT)


async def test_the_end_of_an_earlier_stage_of_this_name_takes_nothing_away_for_long() -> None:
    async with operating(RefusingKubernetes()) as stages:
        stages.watched(a_stage())
        await wait_until(lambda: told("stage_first_seen_timestamp_seconds") is not None)
        first = told("stage_first_seen_timestamp_seconds")
        forget_stage("shop", "dev")
        stages.forgotten(a_stage())  # has the worker look again
        await wait_until(lambda: told("stage_first_seen_timestamp_seconds") == first)


async def test_a_stage_that_is_gone_leaves_nothing_behind() -> None:
    kubernetes = RefusingKubernetes()
    async with operating(kubernetes) as stages:
        stages.watched(a_stage(**DELETION))
        await wait_until(lambda: told("deletion_timestamp_seconds") is not None)
        kubernetes.gone = frozenset({"release"})
        stages.forgotten(a_stage(**DELETION))
        await wait_until(lambda: told("stage_first_seen_timestamp_seconds") is None)
        assert told("deletion_timestamp_seconds") is None


async def test_a_stage_of_the_same_name_does_not_inherit_a_deletion() -> None:
    kubernetes = RefusingKubernetes()
    async with operating(kubernetes) as stages:
        stages.watched(a_stage(**DELETION))
        stages.watched(a_stage(uid="next", name="next"))
        await wait_until(lambda: told("deletion_timestamp_seconds") is not None)
        kubernetes.gone = frozenset({"release"})
        stages.forgotten(a_stage(**DELETION))
        await wait_until(lambda: told("deletion_timestamp_seconds") is None)
        assert told("stage_first_seen_timestamp_seconds") is not None
