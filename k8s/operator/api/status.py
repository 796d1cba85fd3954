"""A Stage's status: kept in memory, written only when it differs from what was written."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from k8s.operator.api.client import Gone, Json, Kubernetes
from k8s.operator.api.stage import StageObject
from k8s.operator.metrics import CONDITION
from k8s.operator.resources.spec import StageOutputs

MAX_MESSAGE_CHARACTERS = 1024


class Kind(StrEnum):
    """The conditions of a Stage."""

    READY = "Ready"
    PROVISIONED = "Provisioned"
    SCALING = "Scaling"
    DEGRADED = "Degraded"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is so, is not so, or is not known, with the reason a person can act on."""

    kind: Kind
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
    """The one writer of a Stage's status; both loops of a worker set what they know, and flush."""

    def __init__(self, stage: StageObject) -> None:
        self._stage = stage
        self._written: Json = stage.status
        self._conditions = _read_conditions(stage.status)
        self._rest: Json = {key: value for key, value in stage.status.items() if key != "conditions"}
        self._writing = asyncio.Lock()

    def is_(self, kind: Kind, *, status: bool) -> bool:
        """Whether this is known to be so."""
        condition = self._conditions.get(kind)
        return condition is not None and condition.status is status

    def condition(self, kind: Kind) -> Condition | None:
        return self._conditions.get(kind)

    def set(self, kind: Kind, reason: str, message: str, *, status: bool | None, generation: int) -> bool:
        """Say how it is. Returns whether status or reason are new, which is worth an Event."""
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
        """Those given change, None takes one away; the others stay."""
        scaling = {**self._rest.get("scaling", {}), **figures}
        self._rest["scaling"] = {key: value for key, value in scaling.items() if value is not None}

    @property
    def dead_letter_queue_url(self) -> str | None:
        """None until the stage has been made."""
        url: str | None = self._rest.get("resources", {}).get("deadLetterQueueUrl")
        return url

    async def flush(self, kubernetes: Kubernetes) -> None:
        """Write what differs, if anything does. A Stage that is gone needs no status."""
        async with self._writing:
            wanted = {**self._rest, "conditions": [self._conditions[kind].json() for kind in sorted(self._conditions)]}
            patch = merge_patch(self._written, wanted)
            if not patch:
                return
            try:
                await kubernetes.patch(f"{self._stage.ref.path}/status", {"status": patch})
            except Gone:
                return
            self._written = wanted


def merge_patch(old: Json, new: Json) -> Json:
    """The smallest merge patch (RFC 7386) that makes `new` of `old`."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def _read_conditions(status: Json) -> dict[Kind, Condition]:
    known = {kind.value for kind in Kind}
    return {
        Kind(entry["type"]): Condition(
            Kind(entry["type"]),
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
    """Now, as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
