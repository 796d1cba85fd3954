"""The one writer of a stage's conditions Ready and Degraded: provisioning and the running release are merged here."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from k8s.operator import metrics
from k8s.operator.api.events import Events
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import Kind, StageStatus
from k8s.operator.health.problems import Problem, Reason, Verdict, degraded

EVENT_AGAIN_SECONDS = 600.0
"""A problem that comes and goes posts one Event in this time for each of its reasons, and its end one where it did."""
_FIRST = ("NotProvisioned", "NoDeployments", "WaitingForPods")
"""Reasons of a stage that has not been ready yet."""
_RUNTIME = {reason.value for reason in Reason}


class StageHealth:
    """Call `provisioned`, `observed` or `removing` with what is known; the caller flushes the status."""

    def __init__(self, status: StageStatus, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._status = status
        self._events = events
        self._clock = clock
        self._provisioning: tuple[Problem, ...] = ()
        self._running: tuple[Problem, ...] | None = None
        self._served: Verdict | None = None
        self._is_made = status.dead_letter_queue_url is not None
        self._removal: Verdict | None = None
        self._posted: dict[str, float] = {}
        self._has_warned = self._has_said_not_ready = False
        # With a condition from before, this is no new stage: its age is not the time that it took.
        self._is_new = status.condition(Kind.READY) is None

    @property
    def has_failed_pass(self) -> bool:
        """Whether the last pass could not provision the stage."""
        return any(problem.reason != "Notices" for problem in self._provisioning)

    @property
    def is_ready(self) -> bool:
        return self._status.is_(Kind.READY, status=True)

    async def provisioned(self, stage: StageObject, problems: tuple[Problem, ...], *, is_made: bool) -> None:
        """Take in what a pass came to. `is_made`: the resources exist, now or from before."""
        self._provisioning, self._is_made = problems, is_made
        await self._publish(stage)

    async def observed(self, stage: StageObject, problems: tuple[Problem, ...], served: Verdict) -> bool:
        """Take in what is seen of the release. Returns whether Ready or Degraded changed."""
        self._running, self._served = problems, served
        return await self._publish(stage)

    async def unobserved(self, stage: StageObject, why: str) -> None:
        """Take in that the release cannot be read, so that nobody knows whether users are served."""
        self._running = (Problem(Reason.NOT_OBSERVED, why),)
        self._served = Verdict(status=None, reason=Reason.NOT_OBSERVED, message=why)
        await self._publish(stage)

    async def removing(self, stage: StageObject, reason: str, message: str) -> None:
        """Take in how far a removal is."""
        self._removal = Verdict(status=False, reason=reason, message=message)
        self._running, self._provisioning = (), ()
        await self._publish(stage)

    async def _publish(self, stage: StageObject) -> bool:
        has_changed = False
        if (ready := self._ready()) is not None:
            has_changed = await self._set_ready(stage, ready)
        if not self._is_still_unknown():
            has_changed = await self._set_degraded(stage) or has_changed
        return has_changed

    def _ready(self) -> Verdict | None:
        """None: not known yet, so what was written before stays."""
        if self._removal is not None:
            return self._removal
        if not self._is_made:
            if not self._provisioning:
                return None
            return Verdict(status=False, reason="NotProvisioned", message=self._provisioning[0].message)
        return self._served

    def _is_still_unknown(self) -> bool:
        """Whether an operator that has just started would take back what the one before it has seen of the release."""
        before = self._status.condition(Kind.DEGRADED)
        if self._running is not None or self._provisioning or before is None:
            return False
        return before.status is True and before.reason in _RUNTIME

    async def _set_ready(self, stage: StageObject, ready: Verdict) -> bool:
        before, generation = self._status.condition(Kind.READY), stage.generation
        has_changed = self._status.set(
            Kind.READY, ready.reason, ready.message, status=ready.status, generation=generation
        )
        was_ready = before is not None and before.status is True
        if ready.status and not was_ready:
            if self._is_new:
                metrics.TIME_TO_READY.observe((datetime.now(UTC) - stage.created_at).total_seconds())
            self._is_new = False
            if before is None or before.reason in _FIRST or self._has_said_not_ready:
                await self._events.normal(stage.ref, ready.reason, ready.message)
            self._has_said_not_ready = False
        elif self._removal is not None and has_changed and ready.reason not in ("Deleting", "RemovalFails"):
            await self._events.normal(stage.ref, ready.reason, ready.message)
        elif was_ready and ready.status is False and self._removal is None:
            self._has_said_not_ready = await self._warn(stage, "NotReady", ready.message)
        return has_changed

    async def _set_degraded(self, stage: StageObject) -> bool:
        before, verdict = self._status.condition(Kind.DEGRADED), degraded([*self._provisioning, *(self._running or ())])
        has_changed = self._status.set(
            Kind.DEGRADED, verdict.reason, verdict.message, status=verdict.status, generation=stage.generation
        )
        was_degraded = before is not None and before.status is True
        if verdict.status and has_changed:
            self._has_warned = await self._warn(stage, verdict.reason, verdict.message) or self._has_warned
        elif was_degraded and not verdict.status and self._has_warned:
            self._has_warned = False
            await self._events.normal(stage.ref, "Recovered", verdict.message)
        return has_changed

    async def _warn(self, stage: StageObject, reason: str, message: str) -> bool:
        """Post an Event, unless one of this reason was posted a short while ago. Returns whether it was posted."""
        now = self._clock()
        self._posted = {name: at for name, at in self._posted.items() if now - at < EVENT_AGAIN_SECONDS}
        if reason in self._posted:
            return False
        self._posted[reason] = now
        await self._events.warning(stage.ref, reason, message)
        return True
