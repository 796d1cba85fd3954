"""The only writer of the conditions Ready and Degraded: merges what provisioning and the running release report."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from k8s.operator import metrics
from k8s.operator.api.events import Events
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.health.problems import ConditionState, Problem, degraded_state

EVENT_INTERVAL_SECONDS = 600.0
"""A recurring problem posts at most one Event per reason in this time, and one at its end if it was posted."""
_FIRST_REASONS = ("NotProvisioned", "NoDeployments", "WaitingForPods")
"""Reasons of Ready of a stage that has not been ready yet."""
_RELEASE_REASONS = {reason.value for reason in DegradedReason}


class StageHealth:
    """Call a `report_…` method with each result; the caller flushes the status."""

    def __init__(self, status: StageStatus, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._status = status
        self._events = events
        self._clock = clock
        self._provisioning: tuple[Problem, ...] = ()
        self._release: tuple[Problem, ...] | None = None
        self._release_ready: ConditionState | None = None
        self._is_provisioned = status.dead_letter_queue_url is not None
        self._removal: ConditionState | None = None
        self._posted: dict[str, float] = {}
        self._has_warned = self._has_posted_not_ready = False
        # A stage that has the condition already is not new: its age is not the time until it became ready.
        self._is_new = status.condition(ConditionType.READY) is None

    @property
    def has_provisioning_failed(self) -> bool:
        """Whether the last reconcile could not provision the stage."""
        return any(problem.reason != "Warnings" for problem in self._provisioning)

    @property
    def is_ready(self) -> bool:
        return self._status.has(ConditionType.READY, status=True)

    async def report_provisioning(
        self, stage: StageObject, problems: tuple[Problem, ...], *, is_provisioned: bool
    ) -> None:
        """Report a reconcile. `is_provisioned`: the resources exist, since this reconcile or an earlier one."""
        self._provisioning, self._is_provisioned = problems, is_provisioned
        await self._publish(stage)

    async def report_release(self, stage: StageObject, problems: tuple[Problem, ...], ready: ConditionState) -> bool:
        """Report the state of the release. Returns whether Ready or Degraded changed."""
        self._release, self._release_ready = problems, ready
        return await self._publish(stage)

    async def report_unreadable_release(self, stage: StageObject, why: str) -> None:
        """Report that the release cannot be read, so that it is not known whether users are served."""
        self._release = (Problem(DegradedReason.NOT_OBSERVED, why),)
        self._release_ready = ConditionState(status=None, reason=DegradedReason.NOT_OBSERVED, message=why)
        await self._publish(stage)

    async def report_removal(self, stage: StageObject, reason: str, message: str) -> None:
        """Report the progress of a removal."""
        self._removal = ConditionState(status=False, reason=reason, message=message)
        self._release, self._provisioning = (), ()
        await self._publish(stage)

    async def _publish(self, stage: StageObject) -> bool:
        has_changed = False
        if (ready := self._ready_state()) is not None:
            has_changed = await self._set_ready(stage, ready)
        if not self._keeps_earlier_degraded():
            has_changed = await self._set_degraded(stage) or has_changed
        return has_changed

    def _ready_state(self) -> ConditionState | None:
        """Return None while it is not known; the condition then stays as it is."""
        if self._removal is not None:
            return self._removal
        if not self._is_provisioned:
            if not self._provisioning:
                return None
            return ConditionState(status=False, reason="NotProvisioned", message=self._provisioning[0].message)
        return self._release_ready

    def _keeps_earlier_degraded(self) -> bool:
        """Whether to keep a problem that an earlier process found, since this one has not read the release yet."""
        before = self._status.condition(ConditionType.DEGRADED)
        if self._release is not None or self._provisioning or before is None:
            return False
        return before.status is True and before.reason in _RELEASE_REASONS

    async def _set_ready(self, stage: StageObject, ready: ConditionState) -> bool:
        before, generation = self._status.condition(ConditionType.READY), stage.generation
        has_changed = self._status.set(
            ConditionType.READY, ready.reason, ready.message, status=ready.status, generation=generation
        )
        was_ready = before is not None and before.status is True
        if ready.status and not was_ready:
            if self._is_new:
                metrics.TIME_TO_READY.observe((datetime.now(UTC) - stage.created_at).total_seconds())
            self._is_new = False
            if before is None or before.reason in _FIRST_REASONS or self._has_posted_not_ready:
                await self._events.normal(stage.ref, ready.reason, ready.message)
            self._has_posted_not_ready = False
        elif self._removal is not None and has_changed and ready.reason not in ("Deleting", "RemovalFailed"):
            await self._events.normal(stage.ref, ready.reason, ready.message)
        elif was_ready and ready.status is False and self._removal is None:
            self._has_posted_not_ready = await self._warn(stage, "NotReady", ready.message)
        return has_changed

    async def _set_degraded(self, stage: StageObject) -> bool:
        before = self._status.condition(ConditionType.DEGRADED)
        state = degraded_state([*self._provisioning, *(self._release or ())])
        has_changed = self._status.set(
            ConditionType.DEGRADED, state.reason, state.message, status=state.status, generation=stage.generation
        )
        was_degraded = before is not None and before.status is True
        if state.status and has_changed:
            self._has_warned = await self._warn(stage, state.reason, state.message) or self._has_warned
        elif was_degraded and not state.status and self._has_warned:
            self._has_warned = False
            await self._events.normal(stage.ref, "Recovered", state.message)
        return has_changed

    async def _warn(self, stage: StageObject, reason: str, message: str) -> bool:
        """Post an Event, unless one with this reason was posted recently. Returns whether it was posted."""
        now = self._clock()
        self._posted = {name: at for name, at in self._posted.items() if now - at < EVENT_INTERVAL_SECONDS}
        if reason in self._posted:
            return False
        self._posted[reason] = now
        await self._events.warning(stage.ref, reason, message)
        return True
