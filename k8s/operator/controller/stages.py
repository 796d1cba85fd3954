"""All Stages and their controllers: fed by the watch, which is compared with a list every 30 s."""

import asyncio
import logging
import time
from collections.abc import Callable

from k8s.operator.api.client import Json
from k8s.operator.api.stage import GROUP, PLURAL, VERSION, StageObject, stage_object
from k8s.operator.context import Context
from k8s.operator.controller.stage_controller import StageController
from k8s.operator.metrics import STAGES, WATCH_BEHIND, forget_deletion, forget_stage
from services.common.background import Background

logger = logging.getLogger(__name__)

AUDIT_SECONDS = 30.0
BEHIND_SECONDS = 120.0
"""So long may the watch owe us something that a list has shown; kopf itself reconnects a silent one after 70 s."""


class Stages:
    """The one place that starts and forgets controllers."""

    def __init__(self, context: Context, background: Background, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._background = background
        self._clock = clock
        self._controllers: dict[str, StageController] = {}
        self._watched: dict[str, int] = {}
        self._behind_since: float | None = None
        self._audited_at = clock()

    def watched(self, body: Json) -> None:
        """The watch delivered this."""
        stage = stage_object(body)
        if not self._is_looked_after(stage):
            return
        self._watched[stage.ref.uid] = max(stage.generation, self._watched.get(stage.ref.uid, 0))
        self._see(stage)

    def forgotten(self, body: Json) -> None:
        """The watch says that this is gone; its controller finds that out by itself."""
        uid = body["metadata"]["uid"]
        self._watched.pop(uid, None)
        if controller := self._controllers.get(uid):
            controller.wake()

    async def audit(self) -> None:
        """Compare what the watch delivered with a list, for ever. What was missed is taken from the list."""
        while True:
            await asyncio.sleep(AUDIT_SECONDS)
            try:
                listed = [stage_object(body) for body in await list_stages(self._context)]
            except Exception as error:  # noqa: BLE001 -- told by the probe once it lasts; the next round tries again
                logger.warning("the Stages cannot be listed", extra={"action": "audit", "error": str(error)})
                continue
            self.compare(listed)

    def compare(self, listed: list[StageObject]) -> None:
        """Take one list in."""
        ours = [stage for stage in listed if self._is_looked_after(stage)]
        missed = [stage for stage in ours if self._watched.get(stage.ref.uid, -1) < stage.generation]
        for stage in missed:
            self._see(stage)
        now = self._clock()
        self._behind_since = (self._behind_since or now) if missed else None
        self._audited_at = now
        WATCH_BEHIND.set(now - self._behind_since if self._behind_since is not None else 0)

    def not_live(self) -> str | None:
        """Why the operator should be restarted; None while all is well.

        An API server that does not answer is no reason: a new process would not reach it either.
        """
        if self._behind_since is not None and self._clock() - self._behind_since > BEHIND_SECONDS:
            return f"the watch has missed changes of Stages for {self._clock() - self._behind_since:.0f} s"
        return None

    def _is_looked_after(self, stage: StageObject) -> bool:
        namespaces = self._context.settings.namespaces
        return not namespaces or stage.ref.namespace in namespaces

    def _see(self, stage: StageObject) -> None:
        controller = self._controllers.get(stage.ref.uid)
        if controller is not None:
            controller.see(stage)
            return
        controller = self._controllers[stage.ref.uid] = StageController(self._context, stage)
        STAGES.set(len(self._controllers))
        self._background.spawn("stage", self._run(stage.ref.uid, controller))

    async def _run(self, uid: str, controller: StageController) -> None:
        try:
            await controller.run()
        finally:
            self._controllers.pop(uid, None)
            # The watch may never say that it is gone.
            self._watched.pop(uid, None)
            STAGES.set(len(self._controllers))
            # The next of its name may be here already. Another that is being deleted tells so again at its next pass.
            forget_deletion(*controller.labels)
            # Two Stages of a namespace may have one stageName, though the second is refused: what is left keeps them.
            if all(other.labels != controller.labels for other in self._controllers.values()):
                forget_stage(*controller.labels)


async def list_stages(context: Context) -> list[Json]:
    """Every Stage of the cluster."""
    return await context.kubernetes.items(f"/apis/{GROUP}/{VERSION}/{PLURAL}")
