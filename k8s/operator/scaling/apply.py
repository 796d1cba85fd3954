"""Changes the size of a Deployment so that Kubernetes removes the pods with the fewest tasks first."""

import asyncio
from collections.abc import Mapping

from k8s.operator.api.client import Kubernetes, ObjectNotFound
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import PROCESSOR, Pod, Workload, read_pods

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_CONCURRENT = 8


async def scale_deployment(
    kubernetes: Kubernetes, stage: StageRef, workload: Workload, replicas: int, tasks_by_pod: Mapping[str, int]
) -> None:
    """Set the number of replicas. Raises what the Kubernetes client raises."""
    if replicas < workload.replicas:
        await _set_deletion_costs(kubernetes, stage, tasks_by_pod)
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{workload.name}/scale"
    await kubernetes.patch(path, {"spec": {"replicas": replicas}})


async def _set_deletion_costs(kubernetes: Kubernetes, stage: StageRef, tasks_by_pod: Mapping[str, int]) -> None:
    """Write the number of a pod's tasks as its deletion cost, just before a scale-in: earlier it would be outdated.

    A pod that did not answer may be busy, so it costs more than any that did.
    """
    unknown = max(tasks_by_pod.values(), default=0) + 1
    pods = await read_pods(kubernetes, stage, PROCESSOR)
    limit = asyncio.Semaphore(MAX_CONCURRENT)

    async def set_cost(pod: Pod) -> None:
        cost = str(tasks_by_pod.get(pod.name, unknown))
        if cost == (pod.deletion_cost or "0"):
            return
        path = f"/api/v1/namespaces/{stage.namespace}/pods/{pod.name}"
        async with limit:
            try:
                await kubernetes.patch(path, {"metadata": {"annotations": {DELETION_COST: cost}}})
            except ObjectNotFound:
                return

    await asyncio.gather(*(set_cost(pod) for pod in pods if pod.is_of_release and not pod.terminating))
