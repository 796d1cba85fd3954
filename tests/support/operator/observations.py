"""Observations of a stage, for tests of the scaling policy."""

from typing import Any

from k8s.operator.policy.types import Observed, Policy


def seen(**changes: Any) -> Observed:
    """An idle stage of which everything could be read, with changes. The tasks in flight are spread over its pods."""
    values: dict[str, Any] = {
        "backlog": 0,
        "in_flight": 0,
        "arrivals_per_second": 0.0,
        "task_seconds": 5.0,
        "replicas_desired": 0,
        **changes,
    }
    values.setdefault("replicas_ready", values["replicas_desired"])
    values.setdefault("tasks_by_pod", spread(values["in_flight"] or 0, values["replicas_ready"] or 0))
    return Observed(**values)


def spread(tasks: int, pods: int) -> dict[str, int]:
    """Tasks by pod, distributed evenly."""
    return {f"pod-{number}": tasks // pods + (number < tasks % pods) for number in range(pods)}


def packed(tasks: int, pods: int, policy: Policy) -> dict[str, int]:
    """Tasks by pod, with as many idle pods as possible."""
    slots = policy.slots_per_replica
    return {f"pod-{number}": min(slots, max(0, tasks - number * slots)) for number in range(pods)}
