"""Observations of a stage for tests of the scaling policy."""

from typing import Any

from k8s.operator.policy.types import Observed, Policy


def seen(**changes: Any) -> Observed:
    """Return an idle stage of which everything was read, with changes. Tasks are spread evenly over the pods."""
    figures: dict[str, Any] = {
        "visible": 0,
        "in_flight": 0,
        "arrivals_per_second": 0.0,
        "task_seconds": 5.0,
        "replicas_desired": 0,
        **changes,
    }
    figures.setdefault("replicas_ready", figures["replicas_desired"])
    figures.setdefault("in_flight_by_pod", spread(figures["in_flight"] or 0, figures["replicas_ready"] or 0))
    return Observed(**figures)


def spread(tasks: int, pods: int) -> dict[str, int]:
    """Return tasks by pod, spread evenly."""
    return {f"pod-{number}": tasks // pods + (number < tasks % pods) for number in range(pods)}


def packed(tasks: int, pods: int, policy: Policy) -> dict[str, int]:
    """Return tasks by pod, with as many idle pods as possible."""
    slots = policy.slots_per_replica
    return {f"pod-{number}": min(slots, max(0, tasks - number * slots)) for number in range(pods)}
