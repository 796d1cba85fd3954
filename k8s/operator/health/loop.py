"""The loop that looks after a stage's health: read, judge, write, every few seconds."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from k8s.operator.api.outputs_configmap import write_outputs
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import Kind, StageStatus
from k8s.operator.context import Tools
from k8s.operator.health.judge import COMPONENTS, Seen, problems, served
from k8s.operator.health.problems import Problem, Reason
from k8s.operator.health.releases import Release
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.policy.poll_schedule import seconds_until_idle_poll
from services.common.errors import PermanentError, Transient

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 4.0
"""A problem is seen within this time, and reported within another half of it where it has to be seen twice."""
DEPENDENCIES = {
    Reason.MOMENTO_KEY_REFUSED,
    Reason.MOMENTO_UNREACHABLE,
    Reason.MOMENTO_QUOTA_EXCEEDED,
    Reason.PARAMETER_MISSING,
    Reason.PARAMETER_UNREADABLE,
    Reason.QUEUE_UNREACHABLE,
}
"""What provisioning needs, too."""
MISSING = {Reason.QUEUE_MISSING, Reason.MOMENTO_CACHE_MISSING}
"""What provisioning makes again."""
UNREAD_SECONDS = 10.0
"""So long may the release be unreadable before what was seen of it counts no more."""
SOON_SECONDS = 2.0
STARTING_SECONDS = 1.0
STARTS_FOR_SECONDS = 120.0
"""So long after a change a stage that is not ready is read each second."""


class HealthLoop:
    """One a stage.

    :param queue_error: why the operator cannot read the task queue; empty where it can.
    :param outputs: what the ConfigMap with the outputs has to say; None while that is not known.
    :param wake: has the stage provisioned now.
    """

    def __init__(
        self,
        tools: Tools,
        status: StageStatus,
        health: StageHealth,
        *,
        queue_error: Callable[[], str],
        outputs: Callable[[], Mapping[str, str] | None],
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tools = tools
        self._status = status
        self._health = health
        self._queue_error = queue_error
        self._outputs = outputs
        self._wake = wake
        self._was_cut_off = self._was_missing = False
        self._read_at = clock()
        self._began_with = ""
        self._clock = clock
        self._today = today
        self._was_full: dict[str, int] = {}
        self._uncertain: set[tuple[str, str]] = set()
        self._changed_at = clock()
        self._queue_failed_at: float | None = None

    async def turn(self, stage: StageObject) -> float:
        """One reading, and what follows from it. Seconds until the next. Raises what the Kubernetes client does."""
        release = await self._read(stage)
        await self._restore_outputs(stage, release)
        seen = Seen(
            release=release,
            answers=await self._tools.asker.all(release.pods),
            now=self._today(),
            was_full=self._was_full,
            queue_error=self._queue_error(),
            queue_error_seconds=self._queue_error_seconds(),
            scaling_error=self._scaling_error(),
        )
        found = self._confirmed(problems(seen))
        if await self._health.observed(stage, tuple(found), served(seen, found)):
            self._changed_at = self._clock()
        await self._status.flush(self._tools.kubernetes)
        self._note_full(seen)
        self._note_dependencies(found)
        return self._pause(release)

    async def _read(self, stage: StageObject) -> Release:
        """Say so where it cannot be read for a while: what was seen before may not be so any more."""
        try:
            release = await self._tools.releases.of(stage.ref, STARTING_SECONDS / 2)
        except (Transient, PermanentError) as error:
            if self._clock() - self._read_at >= UNREAD_SECONDS:
                await self._health.unobserved(stage, f"the release cannot be read: {error}")
                with contextlib.suppress(Transient, PermanentError):
                    await self._status.flush(self._tools.kubernetes)
            raise
        self._read_at = self._clock()
        return release

    def _scaling_error(self) -> str:
        scaling = self._status.condition(Kind.SCALING)
        return scaling.message if scaling is not None and scaling.reason == "CannotScale" else ""

    def _confirmed(self, found: list[Problem]) -> list[Problem]:
        """Leave out what may be over in a moment and is seen for the first time."""
        uncertain = {problem.key for problem in found if not problem.is_certain}
        before, self._uncertain = self._uncertain, uncertain
        return [problem for problem in found if problem.is_certain or problem.key in before]

    def _note_dependencies(self, found: list[Problem]) -> None:
        """Once AWS and Momento work again, a pass that failed need not wait for its next turn, nor one that makes again
        what was deleted."""
        was, self._was_cut_off = self._was_cut_off, any(problem.reason in DEPENDENCIES for problem in found)
        if was and not self._was_cut_off and self._health.has_failed_pass:
            self._wake()
        was, self._was_missing = self._was_missing, any(problem.reason in MISSING for problem in found)
        if self._was_missing and not was:
            self._wake()

    def _queue_error_seconds(self) -> float:
        if not self._queue_error():
            self._queue_failed_at = None
            return 0.0
        if self._queue_failed_at is None:
            self._queue_failed_at = self._clock()
        return self._clock() - self._queue_failed_at

    def _note_full(self, seen: Seen) -> None:
        for component in COMPONENTS:
            deployment = seen.release.deployments.get(component)
            if deployment is None or not deployment.is_observed:
                continue
            if len(seen.ready(component)) >= deployment.replicas:
                self._was_full[component] = deployment.generation

    def _pause(self, release: Release) -> float:
        now = self._clock()
        if release.deployments and not self._health.is_ready and now - self._changed_at < STARTS_FOR_SECONDS:
            return STARTING_SECONDS
        return SOON_SECONDS if self._uncertain else seconds_until_idle_poll(PERIOD_SECONDS, now)

    async def _restore_outputs(self, stage: StageObject, release: Release) -> None:
        """Write the ConfigMap again that somebody deleted or changed."""
        wanted = self._outputs()
        if wanted is None or release.objects is None:
            return
        if release.outputs == wanted:
            self._began_with = release.first_outputs
            return
        try:  # it is read anew, since the list may be older than our own writing of it
            _, done = await write_outputs(self._tools.kubernetes, stage.ref, dict(wanted), began_with=self._began_with)
        except (Transient, PermanentError) as error:  # the next pass reports it
            logger.warning("the outputs cannot be restored: %s", error, extra={"action": "health"})
            return
        if done:
            await self._tools.events.normal(stage.ref, "Changed", f"{done}: it was deleted or changed")
