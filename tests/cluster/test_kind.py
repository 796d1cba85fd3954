"""What `make kind-up` does once the cluster is ready: the local stack, and the stage `dev` on it."""

import pytest

from tests.support.cluster.tools import IMAGE, IMAGE_TAG, fresh_namespace, ready, run
from tests.support.helm_charts import ROOT


@pytest.mark.timeout(240)
def test_the_stage_of_a_kind_cluster_notifies_users() -> None:
    script = str(ROOT / "k8s" / "scripts" / "stage-up")
    with fresh_namespace() as namespace:
        for _ in range(2):  # it is safe to repeat
            said = run(script, "", namespace.name, IMAGE, IMAGE_TAG, seconds=200)
        assert "make forward STAGE=dev" in said
        for component in ("token", "ingest", "processor"):
            (pod,) = namespace.of_component("dev", component)
            assert ready(pod)
        assert "Succeeded" in namespace.helm("test", "dev", "--timeout", "60s")
        namespace.helm("uninstall", "dev")
        namespace.helm("uninstall", "local")
