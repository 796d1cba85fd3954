"""The ConfigMap `<release>-outputs`, from which a stage's pods read its resources, and the roll after a change.

Pods mount the ConfigMap and wait for it, so its first version needs no roll. A later version is announced with an
annotation on the pod templates, which rolls the Deployments. An annotation on the ConfigMap holds the checksum of the
version with which the pods started. It is `unknown` if pods ran before the ConfigMap was created: they may have read
one of an earlier release, or one that somebody deleted.
"""

import hashlib
import json

from k8s.operator.api.client import Conflict, Json, Kubernetes
from k8s.operator.api.stage import GROUP, OUTPUTS_ANNOTATION, VERSION, StageRef
from k8s.operator.api.workloads import Workload, read_pods
from k8s.operator.resources.spec import StageOutputs, StageSpec

FIRST_ANNOTATION = f"{GROUP}/first-outputs"
UNKNOWN = "unknown"
MANAGED_BY, OPERATOR = "app.kubernetes.io/managed-by", "notification-operator"


def environment(outputs: StageOutputs, spec: StageSpec) -> dict[str, str]:
    """Return the outputs as environment variables of the services. None of them is a secret."""
    return {
        "STAGE_NAME": spec.identity.stage_name,
        "TASK_QUEUE_URL": outputs.queue_url,
        "DEAD_LETTER_QUEUE_URL": outputs.dead_letter_queue_url,
        "MOMENTO_CACHE_NAME": outputs.cache_name,
        "OIDC_ISSUER": outputs.issuer,
        "OIDC_AUDIENCE": outputs.user_pool_client_id,
        "OIDC_JWKS_URL": outputs.jwks_url,
        "AWS_DEFAULT_REGION": outputs.queue_arn.split(":")[3],
        "USER_POOL_ID": outputs.user_pool_id,
    }


def checksum(data: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


async def write_outputs(
    kubernetes: Kubernetes, stage: StageRef, data: dict[str, str], *, first_checksum: str = ""
) -> tuple[str, str | None]:
    """Create or change the ConfigMap so that it contains `data`.

    :param first_checksum: checksum with which the pods started, if the caller knows it from before a deletion.
    :returns: the checksum with which the pods started, or `UNKNOWN`; and what was changed.
    :raises Conflict: when the ConfigMap belongs to another owner, or has been changed at the same time.
    """
    path = f"/api/v1/namespaces/{stage.namespace}/configmaps"
    found = await kubernetes.get(f"{path}/{stage.outputs_name}")
    if found is None:
        # Read before the ConfigMap is created: a pod that has run by now has not waited for it.
        ran_before = any(pod.has_run and not pod.terminating for pod in await read_pods(kubernetes, stage, fresh=True))
        first = first_checksum or (UNKNOWN if ran_before else checksum(data))
        await kubernetes.create(path, _config_map(stage, data, first))
        return first, f"wrote ConfigMap {stage.outputs_name}"
    owners = [owner.get("uid") for owner in found["metadata"].get("ownerReferences", [])]
    if not owners and (found["metadata"].get("labels") or {}).get(MANAGED_BY) == OPERATOR:
        # Kept for a release whose Stage was deleted and has been created again.
        found = await kubernetes.patch(
            f"{path}/{stage.outputs_name}", {"metadata": {"ownerReferences": [_owner(stage)]}}
        )
    elif stage.uid not in owners:
        raise Conflict(
            f"ConfigMap {stage.outputs_name} does not belong to this Stage: remove it "
            "(Kubernetes removes one of an earlier Stage)",
            409,
        )
    first = (found["metadata"].get("annotations") or {}).get(FIRST_ANNOTATION, checksum(data))
    if found.get("data") == data:
        return first, None
    stale = dict.fromkeys(set(found.get("data") or {}) - set(data))
    # Only if it has not changed since: another writer may know newer outputs.
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    await kubernetes.patch(f"{path}/{stage.outputs_name}", {"metadata": version, "data": {**stale, **data}})
    return first, f"changed ConfigMap {stage.outputs_name}"


async def release_outputs(kubernetes: Kubernetes, stage: StageRef) -> bool:
    """Remove the owner, so that the ConfigMap is kept without its Stage. Returns whether it belongs to this Stage."""
    path = f"/api/v1/namespaces/{stage.namespace}/configmaps/{stage.outputs_name}"
    found = await kubernetes.get(path)
    owners = found["metadata"].get("ownerReferences", []) if found else []
    if stage.uid not in [owner.get("uid") for owner in owners]:
        return False
    await kubernetes.patch(path, {"metadata": {"ownerReferences": None}})
    return True


async def roll(
    kubernetes: Kubernetes, stage: StageRef, workloads: list[Workload], *, first: str, wanted: str
) -> list[str]:
    """Roll every Deployment whose pods have other outputs. Returns what was changed."""
    changes = []
    for workload in workloads:
        if (workload.outputs_checksum or first) == wanted:
            continue
        path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{workload.name}"
        template = {"metadata": {"annotations": {OUTPUTS_ANNOTATION: wanted}}}
        await kubernetes.patch(path, {"spec": {"template": template}})
        changes.append(f"rolled Deployment {workload.name}, since the outputs changed")
    return changes


def _owner(stage: StageRef) -> Json:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Stage",
        "name": stage.name,
        "uid": stage.uid,
        "controller": True,
        # Pods that drain still read it. It is deleted after the Stage.
        "blockOwnerDeletion": False,
    }


def _config_map(stage: StageRef, data: dict[str, str], first: str) -> Json:
    return {
        "metadata": {
            "name": stage.outputs_name,
            "namespace": stage.namespace,
            "labels": {
                "app.kubernetes.io/name": "notification-api",
                "app.kubernetes.io/instance": stage.name,
                "app.kubernetes.io/part-of": "notification-api",
                MANAGED_BY: OPERATOR,
            },
            "annotations": {FIRST_ANNOTATION: first},
            "ownerReferences": [_owner(stage)],
        },
        "data": data,
    }
