"""Brings a stage into the wanted state: AWS and Momento resources, the ConfigMap with the outputs, and the pods."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from k8s.operator.api.outputs_configmap import checksum, environment, roll, write_outputs
from k8s.operator.api.stage import FINALIZER, StageObject
from k8s.operator.api.workloads import read_workloads
from k8s.operator.context import Context
from k8s.operator.metrics import CHANGES
from k8s.operator.resources.errors import ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageOutputs
from k8s.operator.resources.stage import provision_stage

PROVISION_SECONDS = 120.0
"""Deadline for all calls together. Each call has a deadline of its own."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The result of provisioning."""

    outputs: StageOutputs
    first_checksum: str
    """Of the outputs with which the pods started, or `UNKNOWN`."""
    changes: tuple[str, ...]
    notices: tuple[str, ...]


async def add_finalizer(context: Context, stage: StageObject) -> None:
    """Add our finalizer before any resource is created, so that every resource is removed with the Stage.

    :raises Conflict: when the Stage has changed since it was read.
    """
    if FINALIZER in stage.finalizers:
        return
    metadata = {
        "finalizers": [*stage.finalizers, FINALIZER],
        "resourceVersion": stage.metadata["resourceVersion"],
    }
    await context.kubernetes.patch(stage.ref.path, {"metadata": metadata})


async def provision(
    context: Context, stage: StageObject, set_environment: Callable[[dict[str, str]], None], first_checksum: str
) -> Provisioned:
    """Create, adopt and correct the stage's resources. Raises what `provision_stage` and the Kubernetes client raise.

    :param set_environment: called with the wanted data of the ConfigMap before it is written. The health loop restores
        that ConfigMap; with old data it would undo the change while pods are rolled.
    :param first_checksum: as an earlier call returned it, in case the ConfigMap was deleted since; empty at first.
    """
    spec = stage.stage_spec(context.settings.cluster_name)
    log = ReconcileLog(spec.identity)
    try:
        async with asyncio.timeout(PROVISION_SECONDS):
            outputs = await provision_stage(context.clients(stage), spec, log)
            data = environment(outputs, spec)
            set_environment(data)
            first_checksum, changes = await _publish_outputs(context, stage, data, first_checksum)
            log.changes.extend(changes)
    except TimeoutError as error:
        raise ResourceUnavailable(f"the stage was not provisioned within {PROVISION_SECONDS:.0f} s") from error
    finally:
        # Also after a failure, since these changes were made.
        CHANGES.inc(len(log.changes))
        if log.changes:
            await context.events.normal(stage.ref, "Changed", "; ".join(log.changes))
    return Provisioned(outputs, first_checksum, tuple(log.changes), tuple(log.notices))


async def _publish_outputs(
    context: Context, stage: StageObject, data: dict[str, str], first_checksum: str
) -> tuple[str, list[str]]:
    """Write the outputs and roll the Deployments whose pods have older ones.

    :returns: the checksum of the outputs with which the pods started, and what was changed.
    """
    first, change = await write_outputs(context.kubernetes, stage.ref, data, first_checksum=first_checksum)
    workloads = await read_workloads(context.kubernetes, stage.ref, fresh=True)
    rolled = await roll(context.kubernetes, stage.ref, list(workloads.values()), first=first, wanted=checksum(data))
    return first, [*([change] if change else []), *rolled]
