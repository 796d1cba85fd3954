"""Have a Deployment be as large as decided; on the way down, the pods that do least go first."""

import asyncio
from collections.abc import Mapping

from k8s.operator.api.client import Kubernetes, ObjectNotFound
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import PROCESSOR, Pod, Workload, read_pods

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_CONCURRENT = 8


async def scale(
    kubernetes: Kubernetes, stage: StageRef, workload: Workload, replicas: int, in_flight: Mapping[str, int]
) -> None:
    """Change the number of replicas. Raises what the Kubernetes client does."""
    if replicas < workload.replicas:
        await _mark_idle_first(kubernetes, stage, in_flight)
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{workload.name}/scale"
    await kubernetes.patch(path, {"spec": {"replicas": replicas}})


async def _mark_idle_first(kubernetes: Kubernetes, stage: StageRef, in_flight: Mapping[str, int]) -> None:
    """Write each pod's tasks as its deletion cost: just now, since any earlier it would be outdated.

    A pod that did not answer may be busy, so it costs more than any that did.
    """
    unknown = max(in_flight.values(), default=0) + 1
    pods = await read_pods(kubernetes, stage, PROCESSOR)
    turns = asyncio.Semaphore(MAX_CONCURRENT)

    async def mark(pod: Pod) -> None:
        cost = str(in_flight.get(pod.name, unknown))
        if cost == (pod.deletion_cost or "0"):
            return
        path = f"/api/v1/namespaces/{stage.namespace}/pods/{pod.name}"
        async with turns:
            try:
                await kubernetes.patch(path, {"metadata": {"annotations": {DELETION_COST: cost}}})
            except ObjectNotFound:
                return

    await asyncio.gather(*(mark(pod) for pod in pods if pod.is_of_release and not pod.terminating))
