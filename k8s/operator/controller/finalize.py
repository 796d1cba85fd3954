"""One pass towards a stage's end: wait for its release, remove what was made, see that it is gone, let go."""

import asyncio
import contextlib
from dataclasses import dataclass

from k8s.operator.api.client import Gone, Refused
from k8s.operator.api.outputs_configmap import release_outputs
from k8s.operator.api.stage import FINALIZER, StageObject
from k8s.operator.api.workloads import read_pods, read_workloads
from k8s.operator.context import Tools
from k8s.operator.metrics import CHANGES
from k8s.operator.resources.errors import Permanent, Protected, ResourceUnavailable
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.removal import left_of_stage, remove_stage
from k8s.operator.resources.spec import StageSpec

PASS_SECONDS = 120.0
PROTECTED_SECONDS = 15.0
"""Between two reads of a user pool or queue that only a person can unprotect."""
WAITING = "WaitingForRelease"
SMOKE_TEST = "test"


@dataclass(frozen=True, slots=True)
class Waiting:
    """It cannot go on yet; `reason` for the condition, `message` for a person."""

    reason: str
    message: str
    at_least_seconds: float = 0.0
    """How long to wait before the next pass."""


async def tear_down(tools: Tools, stage: StageObject, told: set[str]) -> Waiting | None:
    """Go as far as possible. None when the Stage has been let go; raises `ResourceUnavailable` or `Permanent`.

    :param told: what Events have said of this removal; a pass that finds a deleted queue once more adds nothing to it.
    """
    if FINALIZER not in stage.finalizers:
        return None
    spec = _spec(tools, stage)
    if stage.retains:
        await _keep_everything(tools, stage, "deletionPolicy is Retain")
    elif spec is not None and spec.given.everything:
        await _keep_everything(tools, stage, "everything is given")
    elif spec is not None:
        waiting = await _release_left(tools, stage) or await _remove(tools, stage, spec, told)
        if waiting:
            return waiting
    await _let_go(tools, stage)
    return None


def _spec(tools: Tools, stage: StageObject) -> StageSpec | None:
    try:
        return stage.stage_spec(tools.settings.cluster_name)
    except Permanent:
        return None  # names that cannot be: nothing of them was ever made


async def _keep_everything(tools: Tools, stage: StageObject, why: str) -> None:
    """Leave everything, for a release that still runs also its outputs: its next pod would not start without them."""
    said = f"{why}: everything stays as it is"
    if await read_workloads(tools.kubernetes, stage.ref, fresh=True):
        # A namespace that is being deleted may have lost the Role for this, and its ConfigMaps go anyway.
        with contextlib.suppress(Refused):
            if await release_outputs(tools.kubernetes, stage.ref):
                said += f". ConfigMap {stage.ref.outputs_name} stays for the release, which still runs"
    await tools.events.normal(stage.ref, "Retained", said)


async def _release_left(tools: Tools, stage: StageObject) -> Waiting | None:
    """A release that still runs would lose its queue and user pool, so its Deployments and pods have to go first."""
    # Never out of the API server's cache, which may be old: under what it does not show yet, the queue would go.
    workloads = await read_workloads(tools.kubernetes, stage.ref, fresh=True)
    pods = await read_pods(tools.kubernetes, stage.ref, fresh=True)
    if workloads:
        names = ", ".join(sorted(workload.name for workload in workloads.values()))
        return Waiting(
            WAITING,
            f"the release still exists, so nothing is removed (Deployments {names}): "
            f"helm uninstall {stage.ref.name} -n {stage.ref.namespace}",
        )
    left = [pod for pod in pods if pod.component != SMOKE_TEST]
    if not left:
        return None
    others = sorted(pod.name for pod in left if not pod.is_of_release and not pod.terminating)
    if others:
        return Waiting(
            WAITING,
            f"{len(others)} pod(s) that no Deployment of the release made bear its labels, so nothing is removed: "
            f"kubectl delete pod -n {stage.ref.namespace} {' '.join(others[:3])}",
        )
    names = ", ".join(sorted(pod.name for pod in left)[:3])
    what = "finish what they do" if all(pod.terminating for pod in left) else "are about to stop"
    return Waiting(WAITING, f"{len(left)} pod(s) of the release {what}: {names}")


async def _remove(tools: Tools, stage: StageObject, spec: StageSpec, told: set[str]) -> Waiting | None:
    clients, one_pass = tools.clients(stage), Pass(spec.identity)
    try:
        async with asyncio.timeout(PASS_SECONDS):
            await remove_stage(clients, spec, one_pass)
            left = await left_of_stage(clients, spec)
    except Protected as error:
        return _protected(stage, error)
    except TimeoutError as error:
        raise ResourceUnavailable(f"the stage was not removed within {PASS_SECONDS:.0f} s") from error
    finally:
        CHANGES.inc(len(one_pass.changes))
        if done := _news(one_pass.changes, told):
            await tools.events.normal(stage.ref, "Removed", "; ".join(done))
    for notice in _news(one_pass.notices, told):
        await tools.events.warning(stage.ref, "LeftAlone", notice)
    if not left:
        return None
    return Waiting("WaitingForRemoval", f"deleted, but still there to be seen: {', '.join(left)}")


def _protected(stage: StageObject, error: Protected) -> Waiting:
    ref = stage.ref
    return Waiting(
        "DeletionProtected",
        f"{error}. Until then nothing of the stage is deleted. To keep everything: "
        f"kubectl -n {ref.namespace} patch stage {ref.name} --type=merge -p "
        """'{"spec":{"deletionPolicy":"Retain"}}'""",
        PROTECTED_SECONDS,
    )


def _news(said: list[str], told: set[str]) -> list[str]:
    news = [each for each in said if each not in told]
    told.update(news)
    return news


async def _let_go(tools: Tools, stage: StageObject) -> None:
    """Take our finalizer away, from the Stage as it is now: our own status has changed it since it was read."""
    fresh = await tools.kubernetes.get(stage.ref.path)
    if fresh is None or fresh["metadata"]["uid"] != stage.ref.uid:
        return
    metadata = {
        "finalizers": [name for name in fresh["metadata"].get("finalizers", []) if name != FINALIZER],
        "resourceVersion": fresh["metadata"]["resourceVersion"],
    }
    with contextlib.suppress(Gone):
        await tools.kubernetes.patch(stage.ref.path, {"metadata": metadata})
