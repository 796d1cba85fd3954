"""Scaling a Deployment: deletion costs are set just before a scale-in, and never otherwise."""

from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import PROCESSOR, Workload, read_workloads
from k8s.operator.scaling.apply import scale_deployment
from tests.support.fakes.kubernetes import StubKubernetes, deployment, pod

STAGE = StageRef("n", "dev", "u")
SCALE = "/apis/apps/v1/namespaces/n/deployments/dev-processor/scale"


async def processors(kubernetes: StubKubernetes, replicas: int) -> Workload:
    kubernetes.deployments = [deployment(PROCESSOR, replicas), deployment("token", 1)]
    return (await read_workloads(kubernetes, STAGE))[PROCESSOR]


def costs(kubernetes: StubKubernetes) -> dict[str, str]:
    return {
        path.rpartition("/")[2]: body["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"]
        for path, body in kubernetes.patches
        if "/pods/" in path
    }


async def test_a_scale_out_sets_no_deletion_cost() -> None:
    kubernetes = StubKubernetes()
    kubernetes.pods = [pod("a")]
    await scale_deployment(kubernetes, STAGE, await processors(kubernetes, 1), 3, {"a": 5})
    assert kubernetes.patches == [(SCALE, {"spec": {"replicas": 3}})]


async def test_before_a_scale_in_busy_pods_cost_more_than_idle_ones() -> None:
    """kedacore/keda#1663 #6719 #2901: there, a scale-in kills busy pods."""
    kubernetes = StubKubernetes()
    kubernetes.pods = [pod("busy"), pod("idle", cost="7"), pod("other", "ingest")]
    await scale_deployment(kubernetes, STAGE, await processors(kubernetes, 2), 1, {"busy": 5, "idle": 0})
    assert costs(kubernetes) == {"busy": "5", "idle": "0"}
    assert kubernetes.patches[-1] == (SCALE, {"spec": {"replicas": 1}})


async def test_a_pod_that_did_not_answer_is_removed_last() -> None:
    kubernetes = StubKubernetes()
    kubernetes.pods = [pod("silent"), pod("busy")]
    await scale_deployment(kubernetes, STAGE, await processors(kubernetes, 2), 1, {"busy": 5})
    assert int(costs(kubernetes)["silent"]) > int(costs(kubernetes)["busy"])


async def test_an_unchanged_cost_is_not_written() -> None:
    kubernetes = StubKubernetes()
    kubernetes.pods = [pod("busy", cost="5"), pod("idle")]
    await scale_deployment(kubernetes, STAGE, await processors(kubernetes, 2), 1, {"busy": 5, "idle": 0})
    assert costs(kubernetes) == {}


async def test_a_copy_of_the_processor_is_not_taken_for_it() -> None:
    kubernetes = StubKubernetes()
    copied = deployment("processor", 7)
    copied["metadata"]["name"] = "dev-processor-copy"
    kubernetes.deployments = [deployment("processor", 2), copied]
    assert (await read_workloads(kubernetes, STAGE))[PROCESSOR].name == "dev-processor"
