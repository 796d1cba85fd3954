"""All Stages and their controllers. The watch feeds them; it is compared with a list every 30 s."""

import asyncio
import logging
import time
from collections.abc import Callable

from k8s.operator.api.client import Json
from k8s.operator.api.stage import GROUP, PLURAL, VERSION, StageObject, stage_object
from k8s.operator.context import Context
from k8s.operator.controller.stage_controller import StageController
from k8s.operator.metrics import STAGES, WATCH_LAG, remove_deletion_series, remove_stage_series
from services.common.background import Background

logger = logging.getLogger(__name__)

WATCH_CHECK_SECONDS = 30.0
MAX_WATCH_LAG_SECONDS = 120.0
"""A watch that misses a listed change for longer makes the liveness probe fail. kopf reconnects a silent one after
70 s."""


class Stages:
    """Starts and ends the controllers."""

    def __init__(self, context: Context, background: Background, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._background = background
        self._clock = clock
        self._controllers: dict[str, StageController] = {}
        self._watched_generations: dict[str, int] = {}
        self._lagging_since: float | None = None

    def on_change(self, body: Json) -> None:
        """Handle a Stage that the watch reports as added or changed."""
        stage = stage_object(body)
        if not self._is_managed(stage):
            return
        uid = stage.ref.uid
        self._watched_generations[uid] = max(stage.generation, self._watched_generations.get(uid, 0))
        self._update(stage)

    def on_delete(self, body: Json) -> None:
        """Handle a Stage that the watch reports as gone. Its controller ends when a reconcile does not find it."""
        uid = body["metadata"]["uid"]
        self._watched_generations.pop(uid, None)
        if controller := self._controllers.get(uid):
            controller.request_reconcile()

    async def check_watch(self) -> None:
        """Compare the watch with a list, again and again, and handle what the watch has missed."""
        while True:
            await asyncio.sleep(WATCH_CHECK_SECONDS)
            try:
                listed = [stage_object(body) for body in await list_stages(self._context)]
            except Exception as error:  # noqa: BLE001 -- the next round tries again
                logger.warning("the Stages cannot be listed", extra={"action": "watch-check", "error": str(error)})
                continue
            self.compare(listed)

    def compare(self, listed: list[StageObject]) -> None:
        """Compare the watch with one list."""
        managed = [stage for stage in listed if self._is_managed(stage)]
        missed = [stage for stage in managed if self._watched_generations.get(stage.ref.uid, -1) < stage.generation]
        for stage in missed:
            self._update(stage)
        now = self._clock()
        self._lagging_since = (self._lagging_since or now) if missed else None
        WATCH_LAG.set(now - self._lagging_since if self._lagging_since is not None else 0)

    def liveness_problem(self) -> str | None:
        """Return why the operator should be restarted; None if it need not be.

        An API server that does not answer is no such reason: a new process would not reach it either.
        """
        if self._lagging_since is not None and self._clock() - self._lagging_since > MAX_WATCH_LAG_SECONDS:
            return f"the watch has missed changes of Stages for {self._clock() - self._lagging_since:.0f} s"
        return None

    def _is_managed(self, stage: StageObject) -> bool:
        namespaces = self._context.settings.namespaces
        return not namespaces or stage.ref.namespace in namespaces

    def _update(self, stage: StageObject) -> None:
        controller = self._controllers.get(stage.ref.uid)
        if controller is not None:
            controller.update(stage)
            return
        controller = self._controllers[stage.ref.uid] = StageController(self._context, stage)
        STAGES.set(len(self._controllers))
        self._background.spawn("stage", self._run(stage.ref.uid, controller))

    async def _run(self, uid: str, controller: StageController) -> None:
        try:
            await controller.run()
        finally:
            self._controllers.pop(uid, None)
            # The watch may never report the deletion.
            self._watched_generations.pop(uid, None)
            STAGES.set(len(self._controllers))
            # A new Stage of this name may exist already. Another one that is being deleted sets its time again.
            remove_deletion_series(*controller.labels)
            # Two Stages of a namespace can have the same stageName, although the second is refused.
            if all(other.labels != controller.labels for other in self._controllers.values()):
                remove_stage_series(*controller.labels)


async def list_stages(context: Context) -> list[Json]:
    """List every Stage of the cluster."""
    return await context.kubernetes.items(f"/apis/{GROUP}/{VERSION}/{PLURAL}")
