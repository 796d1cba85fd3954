"""The health loop of a stage: every few seconds it reads the release, judges it and writes the conditions."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from k8s.operator.api.outputs_configmap import write_outputs
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.releases import Release
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.context import Context
from k8s.operator.health.judge import find_problems, ready_state
from k8s.operator.health.problems import Problem
from k8s.operator.health.snapshot import COMPONENTS, Snapshot
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.policy.poll_schedule import seconds_until_idle_poll
from notification_api import PermanentError, TransientError

logger = logging.getLogger(__name__)

POLL_SECONDS = 4.0
"""A problem is found within this time, and reported half of it later where two readings have to find it."""
RECHECK_SECONDS = 2.0
"""Pause before a problem that is not certain is checked again."""
STARTING_POLL_SECONDS = 1.0
STARTING_SECONDS = 120.0
"""A stage that is not ready is read each second for this time after a change."""
UNREADABLE_SECONDS = 10.0
"""After this time without a successful read the conditions no longer show what was read before."""
PROVISIONING_DEPENDENCIES = {
    DegradedReason.MOMENTO_KEY_REFUSED,
    DegradedReason.MOMENTO_UNREACHABLE,
    DegradedReason.MOMENTO_QUOTA_EXCEEDED,
    DegradedReason.PARAMETER_MISSING,
    DegradedReason.PARAMETER_UNREADABLE,
    DegradedReason.QUEUE_UNREACHABLE,
}
"""Problems that make provisioning fail as well."""
REPAIRABLE = {DegradedReason.QUEUE_MISSING, DegradedReason.MOMENTO_CACHE_MISSING}
"""Problems that provisioning repairs."""


class HealthLoop:
    """The health loop of one stage.

    :param queue_error: returns why the operator cannot read the task queue; empty if it can.
    :param outputs: returns the wanted data of the ConfigMap with the outputs; None while it is not known.
    :param first_checksum: returns the checksum of the outputs with which the pods started; empty while it is not known.
    :param request_reconcile: reconciles the stage now.
    """

    def __init__(
        self,
        context: Context,
        status: StageStatus,
        health: StageHealth,
        *,
        queue_error: Callable[[], str],
        outputs: Callable[[], Mapping[str, str] | None],
        first_checksum: Callable[[], str],
        request_reconcile: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._context = context
        self._status = status
        self._health = health
        self._queue_error = queue_error
        self._outputs = outputs
        self._first_checksum = first_checksum
        self._request_reconcile = request_reconcile
        self._clock = clock
        self._utc_now = utc_now
        self._had_dependency_problem = self._had_repairable_problem = False
        self._read_at = self._changed_at = clock()
        self._queue_failed_at: float | None = None
        self._full_versions: dict[str, tuple[str, int]] = {}
        self._uncertain: set[tuple[str, str]] = set()

    async def run_once(self, stage: StageObject) -> float:
        """Read, judge and write once. Raises what the Kubernetes client does.

        :returns: seconds until the next reading.
        """
        release = await self._read_release(stage)
        await self._restore_outputs(stage, release)
        snapshot = Snapshot(
            release=release,
            reports=await self._context.readiness_client.read_all(release.pods),
            now=self._utc_now(),
            full_versions=self._full_versions,
            queue_error=self._queue_error(),
            queue_error_seconds=self._queue_error_seconds(),
            scaling_error=self._scaling_error(),
        )
        problems = self._confirmed(find_problems(snapshot))
        if await self._health.report_release(stage, tuple(problems), ready_state(snapshot, problems)):
            self._changed_at = self._clock()
        await self._status.flush(self._context.kubernetes)
        self._update_full_versions(snapshot)
        self._reconcile_if_useful(problems)
        return self._pause_seconds(release)

    async def _read_release(self, stage: StageObject) -> Release:
        """Read the release. If it has not been readable for a while, report that, since the conditions may be stale."""
        try:
            release = await self._context.releases.get(stage.ref, STARTING_POLL_SECONDS / 2)
        except (TransientError, PermanentError) as error:
            if self._clock() - self._read_at >= UNREADABLE_SECONDS:
                await self._health.report_unreadable_release(stage, f"the release cannot be read: {error}")
                with contextlib.suppress(TransientError, PermanentError):
                    await self._status.flush(self._context.kubernetes)
            raise
        self._read_at = self._clock()
        return release

    def _scaling_error(self) -> str:
        scaling = self._status.condition(ConditionType.SCALING)
        return scaling.message if scaling is not None and scaling.reason == "CannotScale" else ""

    def _confirmed(self, found: list[Problem]) -> list[Problem]:
        """Leave out problems that are not certain and are found for the first time."""
        uncertain = {problem.key for problem in found if not problem.is_certain}
        before, self._uncertain = self._uncertain, uncertain
        return [problem for problem in found if problem.is_certain or problem.key in before]

    def _reconcile_if_useful(self, problems: list[Problem]) -> None:
        """Reconcile at once when a dependency works again after a failure, or when a resource has been deleted."""
        had_dependency_problem = self._had_dependency_problem
        self._had_dependency_problem = any(problem.reason in PROVISIONING_DEPENDENCIES for problem in problems)
        if had_dependency_problem and not self._had_dependency_problem and self._health.has_provisioning_failed:
            self._request_reconcile()
        had_repairable_problem = self._had_repairable_problem
        self._had_repairable_problem = any(problem.reason in REPAIRABLE for problem in problems)
        if self._had_repairable_problem and not had_repairable_problem:
            self._request_reconcile()

    def _queue_error_seconds(self) -> float:
        if not self._queue_error():
            self._queue_failed_at = None
            return 0.0
        if self._queue_failed_at is None:
            self._queue_failed_at = self._clock()
        return self._clock() - self._queue_failed_at

    def _update_full_versions(self, snapshot: Snapshot) -> None:
        for component in COMPONENTS:
            deployment = snapshot.release.deployments.get(component)
            if deployment is None or not deployment.is_rolled_out:
                continue
            if len(snapshot.ready_pods(component)) >= deployment.replicas:
                self._full_versions[component] = deployment.version

    def _pause_seconds(self, release: Release) -> float:
        now = self._clock()
        if release.deployments and not self._health.is_ready and now - self._changed_at < STARTING_SECONDS:
            return STARTING_POLL_SECONDS
        return RECHECK_SECONDS if self._uncertain else seconds_until_idle_poll(POLL_SECONDS, now)

    async def _restore_outputs(self, stage: StageObject, release: Release) -> None:
        """Write the ConfigMap with the outputs again if somebody deleted or changed it."""
        wanted = self._outputs()
        if wanted is None or release.objects is None:
            return
        if release.outputs == wanted:
            return
        # `write_outputs` reads the ConfigMap: the list may be older than the operator's own write.
        try:
            _, change = await write_outputs(
                self._context.kubernetes, stage.ref, dict(wanted), first_checksum=self._first_checksum()
            )
        except (TransientError, PermanentError) as error:  # the next reconcile reports it in the conditions
            logger.warning("the outputs cannot be restored", extra={"action": "health", "error": str(error)})
            return
        if change:
            await self._context.events.normal(stage.ref, "Changed", f"{change}: it was deleted or changed")
