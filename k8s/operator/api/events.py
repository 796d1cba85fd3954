"""Posts Events on a Stage, for changes only."""

import logging
import secrets
from typing import Literal

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.stage import GROUP, VERSION, StageRef
from k8s.operator.api.status import now_text
from notification_api import PermanentError, TransientError

logger = logging.getLogger(__name__)

COMPONENT = "notification-operator"
MAX_MESSAGE_CHARACTERS = 1024  # limit of the API server


class Events:
    """Posts Events. A failure is only logged: the namespace may be being deleted."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes

    async def normal(self, stage: StageRef, reason: str, message: str) -> None:
        await self._post(stage, "Normal", reason, message)

    async def warning(self, stage: StageRef, reason: str, message: str) -> None:
        await self._post(stage, "Warning", reason, message)

    async def _post(self, stage: StageRef, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        now = now_text()
        logger.info(message, extra={"action": "event", "reason": reason})
        event = {
            "metadata": {"name": f"{stage.name}.{secrets.token_hex(8)}", "namespace": stage.namespace},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "Stage",
                "namespace": stage.namespace,
                "name": stage.name,
                "uid": stage.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:MAX_MESSAGE_CHARACTERS],
            "source": {"component": COMPONENT},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._kubernetes.create(f"/api/v1/namespaces/{stage.namespace}/events", event)
        except (TransientError, PermanentError) as error:
            logger.warning("an Event could not be posted", extra={"action": "event", "error": str(error)})
