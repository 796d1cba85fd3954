"""Faults of the processor during which more replicas would not help, and how many replicas stay during one."""

from k8s.operator.policy.demand import busy_replicas, receiving_replicas
from k8s.operator.policy.types import Memory, Observed, Policy, ProcessorFault, ScalingReason, Source

REMEMBER_LONG_TASKS_SECONDS = 3600.0
"""For this time after a task that outlasted a drain, running tasks are expected to outlast one too."""


def current_fault(observed: Observed, policy: Policy, now: float) -> ProcessorFault | None:
    """The fault that is observed, or else the remembered one until it is over:

    - failing tasks: when a task finishes. Failed tasks are retried after a while that is longer than the observed
      window, so the absence of failures is no evidence;
    - a crash loop: when a processor is ready, and none has crashed for the stabilisation time. Pods that crash are
      ready for a moment after each start;
    - a processor that cannot start: when one is ready;
    - receiving paused: when a pod that was paused receives tasks and so do all others, or when most pods receive tasks
      for the stabilisation time. A pod that does not answer is no evidence.
    """
    if observed_fault := _observed_fault(observed, now):
        return observed_fault
    before = observed.memory.fault
    if before is None:
        return None
    if before.reason is ScalingReason.TASKS_FAILING:
        return None if observed.any_task_finished else before
    if before.reason is ScalingReason.RECEIVING_PAUSED and Source.PROCESSOR in observed.unreadable:
        return before
    is_over = {
        ScalingReason.CANNOT_START: True,
        ScalingReason.RECEIVING_PAUSED: not observed.not_receiving_pods
        and not before.pods.isdisjoint(observed.tasks_by_pod),
    }.get(before.reason, False)
    is_over = is_over or now - before.seen_at >= policy.scale_in_stabilisation_seconds
    return None if is_over and receiving_replicas(observed) else before


def _observed_fault(observed: Observed, now: float) -> ProcessorFault | None:
    if observed.crash_looping:
        return ProcessorFault(ScalingReason.CRASH_LOOP, now)
    if observed.cannot_start:
        return ProcessorFault(ScalingReason.CANNOT_START, now, observed.cannot_start)
    if observed.cannot_receive:
        pods = frozenset(observed.not_receiving_pods)
        return ProcessorFault(ScalingReason.RECEIVING_PAUSED, now, observed.cannot_receive, pods)
    return ProcessorFault(ScalingReason.TASKS_FAILING, now) if observed.all_tasks_failed else None


def max_replicas_during(fault: ProcessorFault, observed: Observed, now: float) -> int:
    """Replicas to keep or start during a fault: at least one, to find out when it is over.

    - crash loop, cannot start: those that are ready or have tasks;
    - receiving paused: those that have tasks;
    - failing tasks: those whose tasks would be interrupted.
    """
    current = observed.replicas_desired or 0
    if observed.busy_unready:
        return max(1, current)
    busy = busy_replicas(observed)
    if fault.reason in (ScalingReason.CRASH_LOOP, ScalingReason.CANNOT_START):
        kept = max(busy, observed.replicas_ready or 0)
    elif fault.reason is ScalingReason.RECEIVING_PAUSED:
        kept = busy
    else:
        kept = 0 if drain_is_long_enough(observed, observed.memory, now) else busy
    return max(1, min(kept, current))


def drain_is_long_enough(observed: Observed, memory: Memory, now: float) -> bool:
    """Whether running tasks would end while their pod drains, judged by the tasks that ended recently."""
    at = memory.outlasted_drain_at
    outlasted_recently = at is not None and now - at < REMEMBER_LONG_TASKS_SECONDS
    return observed.tasks_outlast_drain is False and not outlasted_recently
