"""The ConfigMap `<release>-outputs`: what a stage's pods are told, and how they come to know of a change.

Pods wait for it as for any volume, so the first version needs no roll. A later one is made known by an annotation on
the pod templates. Which version the pods began with is noted on the ConfigMap itself. Pods that ran before it was made
began with one that is gone (of an earlier release, or deleted by somebody), and what that said nobody knows any more.
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
    """Names and addresses under the names that the services' settings have; nothing is a secret."""
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
    kubernetes: Kubernetes, stage: StageRef, data: dict[str, str], *, began_with: str = ""
) -> tuple[str, str | None]:
    """Have the ConfigMap say `data`. Returns the checksum that the pods began with (or `UNKNOWN`), and what was done.

    :param began_with: that checksum, where the caller has read it before the ConfigMap was deleted.

    Raises `Conflict` for a ConfigMap of that name that is not this Stage's, or that somebody writes at this moment.
    """
    path = f"/api/v1/namespaces/{stage.namespace}/configmaps"
    found = await kubernetes.get(f"{path}/{stage.outputs_name}")
    if found is None:
        # Looked at before it is there: a pod that has run by now has not waited for it.
        ran_before = any(pod.has_run and not pod.terminating for pod in await read_pods(kubernetes, stage, fresh=True))
        first = began_with or (UNKNOWN if ran_before else checksum(data))
        await kubernetes.create(path, _config_map(stage, data, first))
        return first, f"wrote ConfigMap {stage.outputs_name}"
    owners = [owner.get("uid") for owner in found["metadata"].get("ownerReferences", [])]
    if not owners and (found["metadata"].get("labels") or {}).get(MANAGED_BY) == OPERATOR:
        # Left for a release whose Stage was deleted and is here again.
        found = await kubernetes.patch(
            f"{path}/{stage.outputs_name}", {"metadata": {"ownerReferences": [_owner(stage)]}}
        )
    elif stage.uid not in owners:
        raise Conflict(
            f"ConfigMap {stage.outputs_name} is not this Stage's: remove it (one of an earlier Stage goes by itself)",
            409,
        )
    first = (found["metadata"].get("annotations") or {}).get(FIRST_ANNOTATION, checksum(data))
    if found.get("data") == data:
        return first, None
    stale = dict.fromkeys(set(found.get("data") or {}) - set(data))
    # Only as it was read: whoever wrote it meanwhile knows newer outputs.
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    await kubernetes.patch(f"{path}/{stage.outputs_name}", {"metadata": version, "data": {**stale, **data}})
    return first, f"changed ConfigMap {stage.outputs_name}"


async def release_outputs(kubernetes: Kubernetes, stage: StageRef) -> bool:
    """Have the ConfigMap outlive its Stage. Returns whether it is this Stage's."""
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
    """Have every Deployment whose pods know other outputs make new ones. Returns what was done."""
    done = []
    for workload in workloads:
        if (workload.outputs_checksum or first) == wanted:
            continue
        path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{workload.name}"
        template = {"metadata": {"annotations": {OUTPUTS_ANNOTATION: wanted}}}
        await kubernetes.patch(path, {"spec": {"template": template}})
        done.append(f"rolled Deployment {workload.name}, since the outputs changed")
    return done


def _owner(stage: StageRef) -> Json:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Stage",
        "name": stage.name,
        "uid": stage.uid,
        "controller": True,
        # Pods that drain still read it; it goes when the Stage is gone.
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
