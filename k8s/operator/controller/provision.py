"""One pass that has a stage be what its resource says: AWS and Momento, the outputs, the pods that know them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from k8s.operator.api.outputs_configmap import checksum, environment, roll, write_outputs
from k8s.operator.api.stage import FINALIZER, StageObject
from k8s.operator.api.workloads import read_workloads
from k8s.operator.context import Tools
from k8s.operator.metrics import CHANGES
from k8s.operator.resources.errors import ResourceUnavailable
from k8s.operator.resources.outputs import StageOutputs
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.stage import make_stage

PASS_SECONDS = 120.0
"""For all calls of a pass together, each of which has a deadline of its own."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a pass came to."""

    outputs: StageOutputs
    changes: tuple[str, ...]
    notices: tuple[str, ...]


async def hold_on_to(tools: Tools, stage: StageObject) -> None:
    """Have Kubernetes keep the Stage until we let go: before anything is made, so that nothing can be left behind.

    Raises `Conflict` when the Stage has changed meanwhile; the next pass sees how.
    """
    if FINALIZER in stage.finalizers:
        return
    metadata = {
        "finalizers": [*stage.finalizers, FINALIZER],
        "resourceVersion": stage.metadata["resourceVersion"],
    }
    await tools.kubernetes.patch(stage.ref.path, {"metadata": metadata})


async def provision(
    tools: Tools, stage: StageObject, announce: Callable[[dict[str, str]], None] = lambda _: None
) -> Provisioned:
    """Make, adopt, mend. Raises what `make_stage` raises, and what the Kubernetes client does.

    :param announce: takes what the ConfigMap with the outputs has to say, before that is written: whoever restores
        the ConfigMap meanwhile would else undo it under the pods that are rolled.
    """
    spec = stage.stage_spec(tools.settings.cluster_name)
    one_pass = Pass(spec.identity)
    try:
        async with asyncio.timeout(PASS_SECONDS):
            outputs = await make_stage(tools.clients(stage), spec, one_pass)
            data = environment(outputs, spec)
            announce(data)
            one_pass.changes.extend(await _tell_pods(tools, stage, data))
    except TimeoutError as error:
        raise ResourceUnavailable(f"the stage was not made within {PASS_SECONDS:.0f} s") from error
    finally:
        CHANGES.inc(len(one_pass.changes))
        # Those of a pass that failed half-way are told too: they happened.
        if one_pass.changes:
            await tools.events.normal(stage.ref, "Changed", "; ".join(one_pass.changes))
    return Provisioned(outputs, tuple(one_pass.changes), tuple(one_pass.notices))


async def _tell_pods(tools: Tools, stage: StageObject, data: dict[str, str]) -> list[str]:
    first, done = await write_outputs(tools.kubernetes, stage.ref, data)
    workloads = await read_workloads(tools.kubernetes, stage.ref, fresh=True)
    rolled = await roll(tools.kubernetes, stage.ref, list(workloads.values()), first=first, wanted=checksum(data))
    return [*([done] if done else []), *rolled]
