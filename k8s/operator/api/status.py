"""A Stage's status: kept in memory, and written only when it differs from what was written last."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from k8s.operator.api.client import Json, Kubernetes, ObjectNotFound
from k8s.operator.api.stage import StageObject
from k8s.operator.metrics import CONDITION
from k8s.operator.resources.spec import StageOutputs

MAX_MESSAGE_CHARACTERS = 1024


class ConditionType(StrEnum):
    """The conditions of a Stage."""

    READY = "Ready"
    PROVISIONED = "Provisioned"
    SCALING = "Scaling"
    DEGRADED = "Degraded"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition. `status` is None if it is not known."""

    kind: ConditionType
    status: bool | None
    reason: str
    message: str
    since: str
    generation: int

    def json(self) -> Json:
        return {
            "type": self.kind.value,
            "status": "Unknown" if self.status is None else str(self.status),
            "reason": self.reason,
            "message": self.message,
            "lastTransitionTime": self.since,
            "observedGeneration": self.generation,
        }


class StageStatus:
    """The only writer of a Stage's status. Each loop of its controller sets its part and flushes."""

    def __init__(self, stage: StageObject) -> None:
        self._stage = stage
        self._written: Json = stage.status
        self._conditions = _read_conditions(stage.status)
        self._rest: Json = {key: value for key, value in stage.status.items() if key != "conditions"}
        self._writing = asyncio.Lock()

    def has(self, kind: ConditionType, *, status: bool) -> bool:
        """Whether the condition exists and has this status."""
        condition = self._conditions.get(kind)
        return condition is not None and condition.status is status

    def condition(self, kind: ConditionType) -> Condition | None:
        return self._conditions.get(kind)

    def set(self, kind: ConditionType, reason: str, message: str, *, status: bool | None, generation: int) -> bool:
        """Set a condition. Returns whether its status or reason changed."""
        old = self._conditions.get(kind)
        is_new = old is None or old.status is not status
        since = now_text() if is_new or old is None else old.since
        text = message[:MAX_MESSAGE_CHARACTERS]
        self._conditions[kind] = Condition(kind, status, reason, text, since, generation)
        CONDITION.labels(*self._stage.labels, kind.value).set(1 if status else 0)
        return is_new or old is None or old.reason != reason

    def set_resources(self, outputs: StageOutputs) -> None:
        self._rest["resources"] = {
            "queueUrl": outputs.queue_url,
            "queueArn": outputs.queue_arn,
            "deadLetterQueueUrl": outputs.dead_letter_queue_url,
            "deadLetterQueueArn": outputs.dead_letter_queue_arn,
            "userPoolId": outputs.user_pool_id,
            "userPoolClientId": outputs.user_pool_client_id,
            "cacheName": outputs.cache_name,
        }

    def set_observed(self, generation: int, deletion_policy: str) -> None:
        self._rest["observedGeneration"] = generation
        self._rest["deletionPolicy"] = deletion_policy

    def set_scaling(self, **figures: Any) -> None:
        """Change the given figures. None removes a figure."""
        scaling = {**self._rest.get("scaling", {}), **figures}
        self._rest["scaling"] = {key: value for key, value in scaling.items() if value is not None}

    @property
    def dead_letter_queue_url(self) -> str | None:
        """None until the stage has been provisioned."""
        url: str | None = self._rest.get("resources", {}).get("deadLetterQueueUrl")
        return url

    async def flush(self, kubernetes: Kubernetes) -> None:
        """Write the differences, if there are any. Does nothing for a Stage that no longer exists."""
        async with self._writing:
            wanted = {**self._rest, "conditions": [self._conditions[kind].json() for kind in sorted(self._conditions)]}
            patch = merge_patch(self._written, wanted)
            if not patch:
                return
            try:
                await kubernetes.patch(f"{self._stage.ref.path}/status", {"status": patch})
            except ObjectNotFound:
                return
            self._written = wanted


def merge_patch(old: Json, new: Json) -> Json:
    """Return the smallest merge patch (RFC 7386) that turns `old` into `new`."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def _read_conditions(status: Json) -> dict[ConditionType, Condition]:
    known = {kind.value for kind in ConditionType}
    return {
        ConditionType(entry["type"]): Condition(
            ConditionType(entry["type"]),
            {"True": True, "False": False}.get(entry["status"]),
            entry["reason"],
            entry["message"],
            entry["lastTransitionTime"],
            int(entry.get("observedGeneration", 0)),
        )
        for entry in status.get("conditions", [])
        if entry["type"] in known
    }


def now_text() -> str:
    """Return the current time in the format of Kubernetes."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
