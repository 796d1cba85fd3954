"""Uninstalling the operator is refused while Stages exist."""

import sys
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import (
    OPERATOR_PODS,
    InstalledOperator,
    installed_operator,
    stage,
    wait_deleted,
    wait_provisioned,
)
from tests.support.cluster.tools import ClusterError, wait_until_sync

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def operator() -> Iterator[InstalledOperator]:
    with installed_operator() as installed:
        yield installed


def test_an_uninstall_is_refused_while_stages_exist_and_succeeds_without(operator: InstalledOperator) -> None:
    home, namespace = operator.home, operator.namespace
    namespace.apply(stage("left"))
    wait_provisioned(namespace, "left")
    with pytest.raises(ClusterError) as refused:
        home.helm("uninstall", "operator", "--timeout", "40s")  # Helm 4 waits for all of it
    said = home.kubectl("logs", "job/operator-uninstall-check")
    sys.stdout.write(f"{refused.value}\n{said}")
    assert f"helm uninstall left -n {namespace.name}" in said
    assert "--no-hooks" in said
    assert len(home.pods(OPERATOR_PODS)) == 1

    namespace.kubectl("delete", "stage", "left", "--wait=false")
    wait_deleted(namespace, "left")
    home.helm("uninstall", "operator", "--wait", "--timeout", "120s")
    wait_until_sync(lambda: not home.pods(OPERATOR_PODS), "the operator deleted")
    kinds = "jobs,serviceaccounts,networkpolicies,clusterroles,clusterrolebindings"
    left = home.kubectl("get", kinds, "-l", "app.kubernetes.io/instance=operator", "-o", "name").split()
    assert [each for each in left if home.name in each or not each.startswith("clusterrole")] == []
