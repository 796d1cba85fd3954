"""One Stage reconciled, from its first sight to its end: a loop that provisions it, one that scales it, and one that
watches its health."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import StageStatus
from k8s.operator.context import Tools
from k8s.operator.controller.reconciler import Keeper
from k8s.operator.health.loop import HealthLoop
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.metrics import DELETED, TAKEN_UP
from k8s.operator.scaling.loop import ScalingLoop
from k8s.operator.scaling.observe import Observer
from services.common.backoff import Backoff
from services.common.errors import PermanentError, Transient
from services.common.telemetry.logs import log_context

logger = logging.getLogger(__name__)

NOT_YET_SECONDS = 0.2
SCALING_CAP_SECONDS, HEALTH_CAP_SECONDS = 30.0, 8.0
"""Longest pauses between readings that fail. The conditions are to be true again 15 s after the API server answers."""


class Worker:
    """Run `run()`; it returns when the Stage is gone."""

    def __init__(self, tools: Tools, stage: StageObject) -> None:
        status = StageStatus(stage)
        health = StageHealth(status, tools.events)
        self.seen = stage
        self._taken_up_at = time.time()
        self._keeper = Keeper(tools, stage, status, health)
        observer = Observer(tools.kubernetes, tools.scraper, stage.ref)
        self._scaling = ScalingLoop(tools, status, observer)
        self._health = HealthLoop(
            tools,
            status,
            health,
            queue_error=lambda: self._scaling.queue_error,
            outputs=lambda: self._keeper.environment,
            wake=self.wake,
        )

    @property
    def labels(self) -> tuple[str, str]:
        """Of its series."""
        return self.seen.labels

    def see(self, stage: StageObject) -> None:
        """Take in what the watch delivered. Our own writes of the status are no news."""
        is_news = (stage.generation, stage.is_deleting) != (self.seen.generation, self.seen.is_deleting)
        self.seen = stage
        if is_news:
            self._keeper.wake.set()

    def wake(self) -> None:
        """Have it look again."""
        self._keeper.wake.set()

    async def run(self) -> None:
        ref = self._keeper.ref
        with log_context(stage=f"{ref.namespace}/{ref.name}"):
            beside = [
                asyncio.create_task(self._repeat(self._turn, "scale"), name="scaling"),
                asyncio.create_task(self._repeat(self._health_turn, "health", HEALTH_CAP_SECONDS), name="health"),
            ]
            try:
                await self._keep()
            finally:
                for task in beside:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    async def _keep(self) -> None:
        self._tell()
        while (pause := await self._keeper.reconcile_once()) is not None:
            self._scaling.poll_soon()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._keeper.wake.wait()
            self._tell()

    def _tell(self) -> None:
        """Before each pass, since a deletion may have been asked for meanwhile."""
        TAKEN_UP.labels(*self.seen.labels).set(self._taken_up_at)
        if self.seen.deleted_at is not None:
            DELETED.labels(*self.seen.labels).set(self.seen.deleted_at.timestamp())

    async def _repeat(
        self, turn: Callable[[], Awaitable[float]], action: str, cap_seconds: float = SCALING_CAP_SECONDS
    ) -> None:
        backoff = Backoff(1.0, cap_seconds)
        while True:
            try:
                pause = await turn()
                backoff.reset()
            except (Transient, PermanentError) as error:
                pause = backoff.next_seconds()
                logger.warning(str(error), extra={"action": action, "retry_seconds": round(pause, 1)})
            except Exception:
                pause = backoff.next_seconds()
                logger.exception("a reading of the stage failed unexpectedly", extra={"action": action})
            await asyncio.sleep(pause)

    async def _health_turn(self) -> float:
        stage = self._keeper.stage
        if stage.is_deleting or self.seen.is_deleting:
            return NOT_YET_SECONDS
        return await self._health.turn(stage)

    async def _turn(self) -> float:
        async with self._keeper.acting:
            stage, outputs = self._keeper.stage, self._keeper.outputs
            # As the status says until the first pass has ended: an operator that begins while AWS is down still scales,
            # or says that it cannot.
            queue_url = outputs.queue_url if outputs else stage.status.get("resources", {}).get("queueUrl")
            if not queue_url or stage.is_deleting or self.seen.is_deleting:
                return NOT_YET_SECONDS
            return await self._scaling.poll(stage, queue_url)
