"""Releases are read for all stages together, as far as the operator may list their objects."""

import asyncio
from types import SimpleNamespace
from typing import Any

from k8s.operator.api.client import Json
from k8s.operator.api.releases import Releases
from k8s.operator.api.stage import StageObject
from k8s.operator.health.snapshot import COMPONENTS
from tests.support.fakes.kubernetes import InMemoryKubernetes
from tests.support.operator.health_loop import HealthLoopHarness, RestrictedKubernetes


async def test_an_operator_that_may_not_list_services_reads_the_rest() -> None:
    stage = HealthLoopHarness()
    restricted = RestrictedKubernetes()
    restricted.objects, restricted.forbidden_path = stage.kubernetes.objects, "/services"
    release = await Releases(restricted).get(stage.object.ref, 1.0)
    assert release.objects is None
    assert sorted(release.deployments) == sorted(COMPONENTS)


async def test_a_namespace_that_may_not_be_listed_hides_no_other() -> None:
    stage = HealthLoopHarness()
    restricted = RestrictedKubernetes()
    restricted.objects = stage.kubernetes.objects
    restricted.forbidden_path = "/api/v1/namespaces/gone/services"
    release = await Releases(restricted, ["gone", "n"]).get(stage.object.ref, 1.0)
    assert release.objects is not None
    assert "Service/dev-token" in release.objects


async def test_many_stages_share_one_reading() -> None:
    stage = HealthLoopHarness()
    releases = Releases(stage.kubernetes, clock=lambda: stage.now)
    for number in range(20):
        await releases.get(_other(stage.object, number), 0.5)
    assert len([call for call in stage.kubernetes.calls.made if call.startswith("List")]) == 5


async def test_a_copy_of_a_deployment_does_not_belong_to_the_release() -> None:
    stage = HealthLoopHarness()
    copied = {**stage.release.deployments["token"], "spec": {"replicas": 7, "template": {}}}
    copied["metadata"] = {**copied["metadata"], "name": "dev-token-copy"}
    stage.kubernetes.put("/apis/apps/v1/namespaces/n/deployments/dev-token-copy", copied)
    release = await Releases(stage.kubernetes).get(stage.object.ref, 1.0)
    assert release.deployments["token"].name == "dev-token"
    assert sorted(release.deployments) == sorted(COMPONENTS)


class Slow(InMemoryKubernetes):
    """Lists of pods take `seconds`."""

    seconds = 0.0
    now = 0.0

    async def items(self, path: str, *, fresh: bool = False, **query: str) -> list[Json]:
        await asyncio.sleep(0)
        if path.endswith("/pods"):
            self.now += self.seconds
        return await super().items(path, fresh=fresh, **query)


async def test_stages_that_wait_for_a_slow_reading_share_it() -> None:
    stage, slow = HealthLoopHarness(), Slow()
    slow.objects, slow.seconds = stage.kubernetes.objects, 3.0
    releases = Releases(slow, clock=lambda: slow.now)
    await asyncio.gather(*(releases.get(_other(stage.object, number), 0.5) for number in range(20)))
    assert len([call for call in slow.calls.made if call.startswith("List")]) == 5


def _other(stage: StageObject, number: int) -> Any:
    return SimpleNamespace(namespace="n", name=f"{stage.ref.name}-{number}")
