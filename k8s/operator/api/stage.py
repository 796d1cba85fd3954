"""A Stage resource, read into types. What the CRD's own rules let through is still checked by the types here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from k8s.operator.api.client import Json
from k8s.operator.controller.deletion_policy import deletion_policy
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


@dataclass(frozen=True, slots=True)
class StageRef:
    """Which Stage."""

    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}/{self.name}"

    @property
    def outputs_name(self) -> str:
        """The ConfigMap that the pods read; a Stage is named as its release."""
        return f"{self.name}-outputs"


@dataclass(frozen=True, slots=True)
class StageObject:
    """One Stage as the API server gave it."""

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
        """Namespace and stage as the services' own series carry them: by `stageName`, not by the release's name."""
        return self.ref.namespace, str(self.spec.get("stageName", self.ref.name))

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation", 0))

    @property
    def is_deleting(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def deleted_at(self) -> datetime | None:
        """When somebody deleted it; it stays until its finalizers are gone."""
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
        """Whether what was made stays when the Stage goes."""
        return deletion_policy(self.spec.get("deletionPolicy"), str(self.spec.get("stageName", ""))) == "Retain"

    @property
    def service_name(self) -> str:
        return str(self.spec.get("serviceName") or "notification-api")

    @property
    def key_parameter(self) -> str:
        """The stage's own Momento key in SSM."""
        stage = self.spec.get("ssmStageName") or self.spec["stageName"]
        return f"/{self.service_name}/{stage}/momento-api-key"

    @property
    def engine(self) -> str:
        return str(self._part("scaling").get("engine", "operator"))

    def stage_spec(self, cluster: str) -> StageSpec:
        """What it shall be made of. Raises `Permanent` for what cannot be."""
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
        """What its owner asks of scaling."""
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
    """Read one."""
    # Who set which field is half of an object and of no use here, and workers keep what they have read.
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    ref = StageRef(metadata["namespace"], metadata["name"], metadata["uid"])
    return StageObject(ref, {**body, "metadata": metadata})
