"""Runs one Stage from its first appearance until it is gone: a reconcile loop, a scaling loop and a health loop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import StageStatus
from k8s.operator.context import Context
from k8s.operator.controller.reconciler import Reconciler
from k8s.operator.health.loop import HealthLoop
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.metrics import DELETED_AT, FIRST_SEEN
from k8s.operator.scaling.loop import ScalingLoop
from k8s.operator.scaling.observe import Observer
from notification_api import PermanentError, TransientError
from services.common.backoff import Backoff
from services.common.telemetry.logs import log_context

logger = logging.getLogger(__name__)

NOT_PROVISIONED_POLL_SECONDS = 0.2
MAX_SCALING_RETRY_SECONDS, MAX_HEALTH_RETRY_SECONDS = 30.0, 8.0
"""Longest pauses after failures. The conditions have to be true again 15 s after the API server answers."""


class StageController:
    """Call `run`; it returns when the Stage is gone."""

    def __init__(self, context: Context, stage: StageObject) -> None:
        status = StageStatus(stage)
        health = StageHealth(status, context.events)
        self.latest = stage
        """The Stage as the watch or a list showed it last."""
        self._first_seen_at = time.time()
        self._reconciler = Reconciler(context, stage, status, health)
        observer = Observer(context.kubernetes, context.scraper, stage.ref)
        self._scaling = ScalingLoop(context, status, observer)
        self._health = HealthLoop(
            context,
            status,
            health,
            queue_error=lambda: self._scaling.queue_error,
            outputs=lambda: self._reconciler.environment,
            first_checksum=lambda: self._reconciler.first_checksum,
            request_reconcile=self.request_reconcile,
        )

    @property
    def labels(self) -> tuple[str, str]:
        """Values of the metric labels `namespace` and `stage`."""
        return self.latest.labels

    def update(self, stage: StageObject) -> None:
        """Store a newer version of the Stage, and reconcile it unless only its status has changed."""
        is_changed = (stage.generation, stage.is_deleting) != (self.latest.generation, self.latest.is_deleting)
        self.latest = stage
        if is_changed:
            self.request_reconcile()

    def request_reconcile(self) -> None:
        """Reconcile now instead of at the next resync."""
        self._reconciler.requested.set()

    async def run(self) -> None:
        ref = self._reconciler.ref
        with log_context(stage=f"{ref.namespace}/{ref.name}"):
            loops = [
                asyncio.create_task(self._repeat(self._scale, "scale", MAX_SCALING_RETRY_SECONDS), name="scaling"),
                asyncio.create_task(
                    self._repeat(self._check_health, "health", MAX_HEALTH_RETRY_SECONDS), name="health"
                ),
            ]
            try:
                await self._reconcile()
            finally:
                for task in loops:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    async def _reconcile(self) -> None:
        self._set_timestamps()
        while (pause := await self._reconciler.reconcile_once()) is not None:
            self._scaling.poll_soon()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._reconciler.requested.wait()
            self._set_timestamps()

    def _set_timestamps(self) -> None:
        """Set the time metrics before each reconcile: the Stage may have been deleted since the last one."""
        FIRST_SEEN.labels(*self.latest.labels).set(self._first_seen_at)
        if self.latest.deleted_at is not None:
            DELETED_AT.labels(*self.latest.labels).set(self.latest.deleted_at.timestamp())

    async def _repeat(self, run_once: Callable[[], Awaitable[float]], action: str, max_retry_seconds: float) -> None:
        backoff = Backoff(1.0, max_retry_seconds)
        while True:
            try:
                pause = await run_once()
                backoff.reset()
            except (TransientError, PermanentError) as error:
                pause = backoff.next_seconds()
                logger.warning(str(error), extra={"action": action, "retry_seconds": round(pause, 1)})
            except Exception:
                pause = backoff.next_seconds()
                logger.exception("a stage could not be read, unexpectedly", extra={"action": action})
            await asyncio.sleep(pause)

    async def _check_health(self) -> float:
        stage = self._reconciler.stage
        if stage.is_deleting or self.latest.is_deleting:
            return NOT_PROVISIONED_POLL_SECONDS
        return await self._health.run_once(stage)

    async def _scale(self) -> float:
        async with self._reconciler.scaling_lock:
            stage, outputs = self._reconciler.stage, self._reconciler.outputs
            # Until the first reconcile ends, the queue is known from the status: an operator that starts while AWS is
            # down still scales, or reports that it cannot.
            queue_url = outputs.queue_url if outputs else stage.status.get("resources", {}).get("queueUrl")
            if not queue_url or stage.is_deleting or self.latest.is_deleting:
                return NOT_PROVISIONED_POLL_SECONDS
            return await self._scaling.run_once(stage, queue_url)
