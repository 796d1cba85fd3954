"""What the cluster's tests need."""

import pytest

from tests.support.cluster.tools import run, why_no_cluster


def test_a_cluster_is_there_with_a_node_that_is_ready() -> None:
    if reason := why_no_cluster():
        pytest.skip(reason)
    assert "True" in run("kubectl", "get", "nodes", "-o", "jsonpath={..conditions[?(@.type=='Ready')].status}")
