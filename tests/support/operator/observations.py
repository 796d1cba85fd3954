"""A stage as the scaling policy sees it, for tests of the policy."""

from typing import Any

from k8s.operator.policy.types import Observed, Policy


def seen(**changes: Any) -> Observed:
    """A stage at rest that could be read in full, with changes. Its pods tell what is in flight, evenly spread."""
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
    """Tasks by pod, as evenly as can be."""
    return {f"pod-{number}": tasks // pods + (number < tasks % pods) for number in range(pods)}


def packed(tasks: int, pods: int, policy: Policy) -> dict[str, int]:
    """Tasks by pod, with as many pods idle as can be."""
    slots = policy.slots_per_replica
    return {f"pod-{number}": min(slots, max(0, tasks - number * slots)) for number in range(pods)}
