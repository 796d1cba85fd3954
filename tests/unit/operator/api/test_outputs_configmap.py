"""`<release>-outputs` is written once, changed when it differs, and rolls pods that started with another version."""

import pytest

from k8s.operator.api.client import Conflict, Json
from k8s.operator.api.outputs_configmap import FIRST_ANNOTATION, checksum, roll, write_outputs
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import read_workloads
from tests.support.fakes.kubernetes import StubKubernetes, deployment, pod

STAGE = StageRef("n", "dev", "u")
PATH = "/api/v1/namespaces/n/configmaps/dev-outputs"
OLD, NEW = {"A": "1", "B": "1"}, {"A": "2"}


def config_map(data: dict[str, str], owner: str = "u") -> Json:
    metadata = {
        "resourceVersion": "7",
        "annotations": {FIRST_ANNOTATION: checksum(OLD)},
        "ownerReferences": [{"uid": owner}],
    }
    return {"metadata": metadata, "data": data}


async def test_it_is_created_with_the_stage_as_owner() -> None:
    kubernetes = StubKubernetes()
    first, done = await write_outputs(kubernetes, STAGE, OLD)
    ((_, made),) = kubernetes.created
    assert (first, done) == (checksum(OLD), "wrote ConfigMap dev-outputs")
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert made["data"] == OLD


@pytest.mark.parametrize(
    "earlier",
    [pod("token-1", "token"), pod("token-1", "token", waiting="CrashLoopBackOff", last="terminated")],
    ids=["runs", "has run"],
)
async def test_pods_that_ran_before_it_was_created_are_rolled(earlier: Json) -> None:
    kubernetes = StubKubernetes()  # without the ConfigMap of an earlier release, which these pods may have read
    kubernetes.pods = [earlier]
    kubernetes.deployments = [deployment("token")]
    first, _ = await write_outputs(kubernetes, STAGE, NEW)
    assert kubernetes.created[0][1]["metadata"]["annotations"][FIRST_ANNOTATION] == first
    workloads = list((await read_workloads(kubernetes, STAGE)).values())
    assert await roll(kubernetes, STAGE, workloads, first=first, wanted=checksum(NEW)) != []


@pytest.mark.parametrize(
    "waiting",
    [pod("token-1", "token", waiting="ContainerCreating"), pod("token-1", "token", terminating=True)],
    ids=["waits for it", "drains"],
)
async def test_pods_that_wait_for_it_or_drain_are_not_rolled(waiting: Json) -> None:
    kubernetes = StubKubernetes()
    kubernetes.pods = [waiting]
    first, _ = await write_outputs(kubernetes, STAGE, NEW)
    assert first == checksum(NEW)


async def test_an_equal_one_is_not_written() -> None:
    kubernetes = StubKubernetes()
    kubernetes.objects[PATH] = config_map(OLD)
    assert await write_outputs(kubernetes, STAGE, OLD) == (checksum(OLD), None)
    assert (kubernetes.patches, kubernetes.created) == ([], [])


async def test_changed_data_is_written_and_stale_data_removed() -> None:
    kubernetes = StubKubernetes()
    kubernetes.objects[PATH] = config_map(OLD)
    first, _ = await write_outputs(kubernetes, STAGE, NEW)
    assert first == checksum(OLD)
    assert kubernetes.patches == [(PATH, {"metadata": {"resourceVersion": "7"}, "data": {"A": "2", "B": None}})]


async def test_one_of_another_owner_is_refused() -> None:
    kubernetes = StubKubernetes()
    kubernetes.objects[PATH] = config_map(OLD, owner="another")
    with pytest.raises(Conflict, match="does not belong to this Stage"):
        await write_outputs(kubernetes, STAGE, NEW)


@pytest.mark.parametrize(
    ("known", "rolled"),
    [(None, True), (checksum(NEW), False), (checksum(OLD), True)],
    ids=["started with the first", "rolled already", "rolled for another"],
)
async def test_pods_with_other_outputs_are_rolled(*, known: str | None, rolled: bool) -> None:
    kubernetes = StubKubernetes()
    kubernetes.deployments = [deployment("token", outputs=known)]
    workloads = list((await read_workloads(kubernetes, STAGE)).values())
    done = await roll(kubernetes, STAGE, workloads, first=checksum(OLD), wanted=checksum(NEW))
    assert bool(done) is bool(kubernetes.patches) is rolled


async def test_the_first_outputs_roll_nothing() -> None:
    kubernetes = StubKubernetes()
    kubernetes.deployments = [deployment("token")]
    workloads = list((await read_workloads(kubernetes, STAGE)).values())
    assert await roll(kubernetes, STAGE, workloads, first=checksum(OLD), wanted=checksum(OLD)) == []
