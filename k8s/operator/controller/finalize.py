"""Removes a deleted Stage: waits until its release is gone, deletes its resources, then removes the finalizer."""

import asyncio
import contextlib
from dataclasses import dataclass

from k8s.operator.api.client import ObjectNotFound, Refused
from k8s.operator.api.outputs_configmap import release_outputs
from k8s.operator.api.stage import FINALIZER, StageObject
from k8s.operator.api.workloads import read_pods, read_workloads
from k8s.operator.context import Context
from k8s.operator.metrics import CHANGES
from k8s.operator.resources.errors import ProtectedError, ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.stage import delete_stage, remaining_resources
from notification_api import PermanentError

REMOVAL_SECONDS = 120.0
PROTECTED_POLL_SECONDS = 15.0
"""Pause between two reads of a user pool or queue whose protection only a person can remove."""
WAITING_FOR_RELEASE = "WaitingForRelease"
SMOKE_TEST = "test"


@dataclass(frozen=True, slots=True)
class RemovalPending:
    """Why a removal cannot be completed yet: reason and message of the condition Ready."""

    reason: str
    message: str
    retry_after_seconds: float = 0.0
    """Shortest pause before the next attempt."""


async def finalize(context: Context, stage: StageObject, reported: set[str]) -> RemovalPending | None:
    """Remove as much as possible. Raises `ResourceUnavailable` or `PermanentError`.

    :param reported: messages that Events of this removal already contain; extended here, so that none is repeated.
    :returns: None once the finalizer has been removed.
    """
    if FINALIZER not in stage.finalizers:
        return None
    spec = _spec(context, stage)
    if stage.retains:
        await _retain(context, stage, "deletionPolicy is Retain")
    elif spec is not None and spec.given.everything:
        await _retain(context, stage, "the stage uses existing resources only")
    elif spec is not None:
        pending = await _remaining_release(context, stage) or await _remove(context, stage, spec, reported)
        if pending:
            return pending
    await _remove_finalizer(context, stage)
    return None


def _spec(context: Context, stage: StageObject) -> StageSpec | None:
    """Return None for names that cannot be used: no resource was ever created for them."""
    try:
        return stage.stage_spec(context.settings.cluster_name)
    except PermanentError:
        return None


async def _retain(context: Context, stage: StageObject, why: str) -> None:
    """Keep every resource. A running release also keeps its outputs, without which its next pod would not start."""
    message = f"{why}: every resource is kept"
    if await read_workloads(context.kubernetes, stage.ref, fresh=True):
        # In a namespace that is being deleted the Role for this may be gone; the ConfigMap is deleted there anyway.
        with contextlib.suppress(Refused):
            if await release_outputs(context.kubernetes, stage.ref):
                message += f". ConfigMap {stage.ref.outputs_name} is kept for the release, which still runs"
    await context.events.normal(stage.ref, "Retained", message)


async def _remaining_release(context: Context, stage: StageObject) -> RemovalPending | None:
    """Report Deployments and pods that still exist: they use the queue and the user pool."""
    # Fresh lists: a pod that the API server's cache does not show yet would lose its queue.
    workloads = await read_workloads(context.kubernetes, stage.ref, fresh=True)
    pods = await read_pods(context.kubernetes, stage.ref, fresh=True)
    if workloads:
        names = ", ".join(sorted(workload.name for workload in workloads.values()))
        return RemovalPending(
            WAITING_FOR_RELEASE,
            f"the release still exists, so nothing is removed (Deployments {names}): "
            f"helm uninstall {stage.ref.name} -n {stage.ref.namespace}",
        )
    remaining = [pod for pod in pods if pod.component != SMOKE_TEST]
    if not remaining:
        return None
    foreign = sorted(pod.name for pod in remaining if not pod.is_of_release and not pod.terminating)
    if foreign:
        return RemovalPending(
            WAITING_FOR_RELEASE,
            f"{len(foreign)} pod(s) have the labels of the release but were not created by its Deployments, so nothing "
            f"is removed: kubectl delete pod -n {stage.ref.namespace} {' '.join(foreign[:3])}",
        )
    names = ", ".join(sorted(pod.name for pod in remaining)[:3])
    state = "are terminating" if all(pod.terminating for pod in remaining) else "still run"
    return RemovalPending(WAITING_FOR_RELEASE, f"{len(remaining)} pod(s) of the release {state}: {names}")


async def _remove(context: Context, stage: StageObject, spec: StageSpec, reported: set[str]) -> RemovalPending | None:
    clients, log = context.clients(stage), ReconcileLog(spec.identity)
    try:
        async with asyncio.timeout(REMOVAL_SECONDS):
            await delete_stage(clients, spec, log)
            left = await remaining_resources(clients, spec)
    except ProtectedError as error:
        return _protected(stage, error)
    except TimeoutError as error:
        raise ResourceUnavailable(f"the stage was not removed within {REMOVAL_SECONDS:.0f} s") from error
    finally:
        CHANGES.inc(len(log.changes))
        if changes := _not_reported(log.changes, reported):
            await context.events.normal(stage.ref, "Removed", "; ".join(changes))
    for notice in _not_reported(log.notices, reported):
        await context.events.warning(stage.ref, "NotDeleted", notice)
    if not left:
        return None
    return RemovalPending("WaitingForRemoval", f"deleted, but still listed: {', '.join(left)}")


def _protected(stage: StageObject, error: ProtectedError) -> RemovalPending:
    ref = stage.ref
    return RemovalPending(
        "DeletionProtected",
        f"{error}. Until then nothing of the stage is deleted. To keep everything: "
        f"kubectl -n {ref.namespace} patch stage {ref.name} --type=merge -p "
        """'{"spec":{"deletionPolicy":"Retain"}}'""",
        PROTECTED_POLL_SECONDS,
    )


def _not_reported(messages: list[str], reported: set[str]) -> list[str]:
    new = [each for each in messages if each not in reported]
    reported.update(new)
    return new


async def _remove_finalizer(context: Context, stage: StageObject) -> None:
    """Remove our finalizer from the Stage as it is now: writing its status has changed its version."""
    fresh = await context.kubernetes.get(stage.ref.path)
    if fresh is None or fresh["metadata"]["uid"] != stage.ref.uid:
        return
    metadata = {
        "finalizers": [name for name in fresh["metadata"].get("finalizers", []) if name != FINALIZER],
        "resourceVersion": fresh["metadata"]["resourceVersion"],
    }
    with contextlib.suppress(ObjectNotFound):
        await context.kubernetes.patch(stage.ref.path, {"metadata": metadata})
