"""A Stage resource, read into types. The types check what the rules of the CRD cannot."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from k8s.operator.api.client import Json
from k8s.operator.policy.types import Policy
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.queue_attributes import QueueSettings
from k8s.operator.resources.spec import Given, StageSpec
from k8s.operator.resources.user_pool import UserPoolSettings

GROUP = "notification-api.io"
VERSION = "v1alpha1"
PLURAL = "stages"
FINALIZER = f"{GROUP}/operator"
OUTPUTS_ANNOTATION = f"{GROUP}/outputs"
PRODUCTION_NAME = r"(?i)(^|[-_])(prod|production|prd|live|main)[0-9]*([-_]|$)"
"""charts/notification-api/templates/_uninstall.tpl has the same."""

DeletionPolicy = Literal["Delete", "Retain"]


def deletion_policy(given: str | None, stage_name: str) -> DeletionPolicy:
    """Return the given policy; without one, Retain if the name looks like production, else Delete.

    A name looks like production if one of its words (separated by `-` or `_`, in any case, without digits at the end)
    is prod, production, prd, live or main.
    """
    if given:
        return "Retain" if given == "Retain" else "Delete"
    return "Retain" if re.search(PRODUCTION_NAME, stage_name) else "Delete"


@dataclass(frozen=True, slots=True)
class StageRef:
    """Identifies a Stage."""

    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}/{self.name}"

    @property
    def outputs_name(self) -> str:
        """Name of the ConfigMap that the pods read. A Stage has the name of its Helm release."""
        return f"{self.name}-outputs"


@dataclass(frozen=True, slots=True)
class StageObject:
    """A Stage as read from the API server."""

    ref: StageRef
    body: Json

    @property
    def metadata(self) -> Json:
        return dict(self.body["metadata"])

    @property
    def spec(self) -> Json:
        return dict(self.body.get("spec") or {})

    @property
    def status(self) -> Json:
        return dict(self.body.get("status") or {})

    @property
    def labels(self) -> tuple[str, str]:
        """Values of the metric labels `namespace` and `stage`; `stage` is `stageName`, as in the services' metrics."""
        return self.ref.namespace, str(self.spec.get("stageName", self.ref.name))

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation", 0))

    @property
    def is_deleting(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def deleted_at(self) -> datetime | None:
        """When its deletion was requested. It exists until its finalizers are removed."""
        stamp = self.metadata.get("deletionTimestamp")
        return datetime.fromisoformat(stamp) if stamp else None

    @property
    def finalizers(self) -> list[str]:
        return list(self.metadata.get("finalizers") or [])

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.metadata["creationTimestamp"])

    @property
    def retains(self) -> bool:
        """Whether its resources are kept when it is deleted."""
        return deletion_policy(self.spec.get("deletionPolicy"), str(self.spec.get("stageName", ""))) == "Retain"

    @property
    def service_name(self) -> str:
        return str(self.spec.get("serviceName") or "notification-api")

    @property
    def key_parameter(self) -> str:
        """Name of the SSM parameter with the stage's own Momento key."""
        stage = self.spec.get("ssmStageName") or self.spec["stageName"]
        return f"/{self.service_name}/{stage}/momento-api-key"

    @property
    def engine(self) -> str:
        return str(self._part("scaling").get("engine", "operator"))

    def stage_spec(self, cluster: str) -> StageSpec:
        """Return the wanted resources.

        :raises PermanentError: for names that cannot be used.
        """
        queue, pool, momento = self._part("queue"), self._part("userPool"), self._part("momento")
        given = Given(
            queue_url=queue.get("url"),
            dead_letter_queue_url=queue.get("deadLetterUrl"),
            user_pool_id=pool.get("id"),
            user_pool_client_id=pool.get("clientId"),
            cache_name=momento.get("cacheName"),
        )
        identity = Identity(
            self.service_name, str(self.spec["stageName"]), cluster, owner=f"{self.ref.namespace}/{self.ref.name}"
        )
        return StageSpec(
            identity,
            given,
            queue=_queue_settings(queue),
            user_pool=UserPoolSettings(deletion_protection=bool(pool.get("deletionProtection", False))),
            adopt=bool(self.spec.get("adopt", False)),
        )

    def policy(self) -> Policy:
        """Return the scaling settings."""
        scaling = self._part("scaling")
        return Policy(
            wait_objective_seconds=float(scaling.get("waitObjectiveSeconds", 10)),
            min_replicas=int(scaling.get("minReplicas", 0)),
            max_replicas=int(scaling.get("maxReplicas", 20)),
            slots_per_replica=int(scaling.get("slotsPerReplica", 20)),
            scale_in_stabilisation_seconds=float(scaling.get("scaleInStabilisationSeconds", 60)),
        )

    def _part(self, name: str) -> dict[str, Any]:
        return dict(self.spec.get(name) or {})


def _queue_settings(queue: dict[str, Any]) -> QueueSettings:
    defaults = QueueSettings()
    return QueueSettings(
        visibility_timeout_seconds=int(queue.get("visibilityTimeoutSeconds", defaults.visibility_timeout_seconds)),
        max_receive_count=int(queue.get("maxReceiveCount", defaults.max_receive_count)),
        task_retention_seconds=queue.get("retentionSeconds"),
    )


def stage_object(body: Json) -> StageObject:
    """Read a Stage."""
    # managedFields are half of an object's size, and controllers keep the object in memory.
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    ref = StageRef(metadata["namespace"], metadata["name"], metadata["uid"])
    return StageObject(ref, {**body, "metadata": metadata})
