"""Problems of the task queue as the operator itself reads it."""

from collections.abc import Iterator, Sequence

from k8s.operator.api.reasons import DegradedReason
from k8s.operator.api.workloads import PROCESSOR
from k8s.operator.health.problems import Problem
from k8s.operator.health.snapshot import Snapshot, is_blocked

PROCESSOR_REPORTS_SECONDS = 45.0
"""After this time a processor reports a queue that does not answer: one poll takes up to 30 s."""
_QUEUE_REASONS = {
    DegradedReason.QUEUE_UNREACHABLE,
    DegradedReason.QUEUE_MISSING,
    DegradedReason.QUEUE_ACCESS_DENIED,
}
_SHARED_REASONS = {DegradedReason.QUEUE_UNREACHABLE, DegradedReason.QUEUE_MISSING}
"""Reasons that concern the services as well. Permissions are the operator's own."""


def queue_problems(snapshot: Snapshot, found: Sequence[Problem]) -> Iterator[Problem]:
    """Report that the operator cannot read the queue, unless pods report more about it in `found`."""
    if not snapshot.queue_error or any(problem.reason in _QUEUE_REASONS for problem in found):
        return
    reason, processor = _reason(snapshot.queue_error), snapshot.release.deployments.get(PROCESSOR)
    # Without processors only the operator reads the queue.
    is_idle = processor is not None and not processor.replicas
    is_throttled = "Throttl" in snapshot.queue_error
    is_shared = reason in _SHARED_REASONS and not is_throttled and not _is_read_by_processor(snapshot)
    message = f"the operator cannot read the task queue: {snapshot.queue_error}"
    yield Problem(reason, message, affects_users=is_idle or is_shared, is_certain=False)


def _is_read_by_processor(snapshot: Snapshot) -> bool:
    """Whether a processor works and would have reported by now that it cannot read the queue."""
    reports = [snapshot.report(pod) for pod in snapshot.ready_pods(PROCESSOR)]
    is_working = any(not report.error and not is_blocked(report) for report in reports)
    return is_working and snapshot.queue_error_seconds > PROCESSOR_REPORTS_SECONDS


def _reason(error: str) -> DegradedReason:
    if "NonExistentQueue" in error or "QueueDoesNotExist" in error:
        return DegradedReason.QUEUE_MISSING
    is_denied = any(mark in error for mark in ("allow sqs:", "ExpiredToken", "RequestExpired", "credentials"))
    return DegradedReason.QUEUE_ACCESS_DENIED if is_denied else DegradedReason.QUEUE_UNREACHABLE
