"""The operator uninstalled: refused while it has Stages to remove."""

import sys
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import (
    OPERATOR_PODS,
    OperatorWorld,
    operator_world,
    stage,
    wait_gone,
    wait_made,
)
from tests.support.cluster.tools import ClusterError, wait_until_sync

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def world() -> Iterator[OperatorWorld]:
    with operator_world() as made:
        yield made


def test_an_uninstall_is_refused_while_there_are_stages_and_done_once_there_are_none(world: OperatorWorld) -> None:
    home, place = world.home, world.place
    place.apply(stage("left"))
    wait_made(place, "left")
    with pytest.raises(ClusterError) as refused:
        home.helm("uninstall", "operator", "--timeout", "40s")  # Helm 4 waits for all of it
    said = home.kubectl("logs", "job/operator-uninstall-check")
    sys.stdout.write(f"{refused.value}\n{said}")
    assert f"helm uninstall left -n {place.name}" in said
    assert "--no-hooks" in said
    assert len(home.pods(OPERATOR_PODS)) == 1

    place.kubectl("delete", "stage", "left", "--wait=false")
    wait_gone(place, "left")
    home.helm("uninstall", "operator", "--wait", "--timeout", "120s")
    wait_until_sync(lambda: not home.pods(OPERATOR_PODS), "the operator gone")
    kinds = "jobs,serviceaccounts,networkpolicies,clusterroles,clusterrolebindings"
    left = home.kubectl("get", kinds, "-l", "app.kubernetes.io/instance=operator", "-o", "name").split()
    assert [each for each in left if home.name in each or not each.startswith("clusterrole")] == []
