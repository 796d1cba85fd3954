"""Time metrics of a Stage also where no reconcile succeeds, so that an alert can find it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import REGISTRY

from k8s.operator.api.client import Json, Unreachable
from k8s.operator.api.releases import Releases
from k8s.operator.context import Context
from k8s.operator.controller.stages import Stages
from k8s.operator.metrics import remove_stage_series
from services.common.background import Background
from tests.support.fakes.kubernetes import StubKubernetes
from tests.support.waiting import wait_until

DELETION = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
DELETED_AT = 1_767_225_600.0


class RefusingKubernetes(StubKubernetes):
    """Fails every read of a Stage, until it is deleted."""

    deleted: frozenset[str] = frozenset()
    """Names of Stages."""

    async def get(self, path: str, **query: str) -> Json | None:
        if path.rsplit("/", 1)[-1] in self.deleted:
            return None
        raise Unreachable("connection refused")


def make_stage_body(**metadata: str) -> Json:
    where = {"namespace": "shop", "name": "release", "uid": "uid", "generation": 1}
    return {"metadata": {**where, **metadata}, "spec": {"stageName": "dev"}}


def metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"notification_api_operator_{name}", {"namespace": "shop", "stage": "dev"})


@asynccontextmanager
async def operating(kubernetes: StubKubernetes) -> AsyncIterator[Stages]:
    """As much of an operator as a reconcile that fails needs."""
    nothing, settings = cast("Any", None), cast("Any", SimpleNamespace(namespaces=()))
    slots = asyncio.Semaphore()
    context = Context(
        settings, kubernetes, sqs=nothing, idp=nothing, caches=nothing, scraper=nothing, decide=nothing,
        releases=Releases(kubernetes), readiness_client=nothing,
        reconcile_slots=slots, retry_slots=slots,
    )  # fmt: skip
    background = Background(on_failure=lambda: None)
    try:
        yield Stages(context, background)
    finally:
        await background.close()
        remove_stage_series("shop", "dev")


async def test_a_stage_without_a_successful_reconcile_has_the_time_of_its_first_sight() -> None:
    before = time.time()
    async with operating(RefusingKubernetes()) as stages:
        stages.on_change(make_stage_body())
        await wait_until(lambda: metric("stage_first_seen_timestamp_seconds") is not None)
        assert before <= (metric("stage_first_seen_timestamp_seconds") or 0) <= time.time()
        assert metric("last_reconcile_timestamp_seconds") is None
        assert metric("deletion_timestamp_seconds") is None


async def test_a_deleted_stage_has_the_time_of_its_deletion() -> None:
    async with operating(RefusingKubernetes()) as stages:
        stages.on_change(make_stage_body())
        stages.on_change(make_stage_body(**DELETION))
        await wait_until(lambda: metric("deletion_timestamp_seconds") == DELETED_AT)


async def test_series_removed_with_an_earlier_stage_of_this_name_return() -> None:
    async with operating(RefusingKubernetes()) as stages:
        stages.on_change(make_stage_body())
        await wait_until(lambda: metric("stage_first_seen_timestamp_seconds") is not None)
        first = metric("stage_first_seen_timestamp_seconds")
        remove_stage_series("shop", "dev")
        stages.on_delete(make_stage_body())  # requests a reconcile
        await wait_until(lambda: metric("stage_first_seen_timestamp_seconds") == first)


async def test_a_stage_that_is_gone_leaves_no_series() -> None:
    kubernetes = RefusingKubernetes()
    async with operating(kubernetes) as stages:
        stages.on_change(make_stage_body(**DELETION))
        await wait_until(lambda: metric("deletion_timestamp_seconds") is not None)
        kubernetes.deleted = frozenset({"release"})
        stages.on_delete(make_stage_body(**DELETION))
        await wait_until(lambda: metric("stage_first_seen_timestamp_seconds") is None)
        assert metric("deletion_timestamp_seconds") is None


async def test_a_stage_of_the_same_name_does_not_inherit_a_deletion() -> None:
    kubernetes = RefusingKubernetes()
    async with operating(kubernetes) as stages:
        stages.on_change(make_stage_body(**DELETION))
        stages.on_change(make_stage_body(uid="next", name="next"))
        await wait_until(lambda: metric("deletion_timestamp_seconds") is not None)
        kubernetes.deleted = frozenset({"release"})
        stages.on_delete(make_stage_body(**DELETION))
        await wait_until(lambda: metric("deletion_timestamp_seconds") is None)
        assert metric("stage_first_seen_timestamp_seconds") is not None
