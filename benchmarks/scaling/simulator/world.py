"""What a simulated stage is given: its pods and its work. The same for every policy."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Pods and limits."""

    pod_ready_seconds: float = 4.0
    """From asking for a pod to its first receive."""
    slots: int = 10
    max_replicas: int = 100
    """KEDA's default."""
    drain_seconds: float = 30.0
    """How long a pod that goes may finish what it has in hand; the rest is handed back and begins anew elsewhere."""
    wait_objective_seconds: float = 10.0
    depth_noise: float = 0.1
    """Largest relative error of a count that is read from the queue: SQS calls them approximate."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task."""

    at: float
    seconds: float
    """What its handler takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is replayed."""

    name: str
    title: str
    arrivals: tuple[Arrival, ...]
    """In order of time."""
    seconds: float
    """How long is looked at: long enough that every policy can finish and let its pods go."""
    outages: tuple[tuple[float, float], ...] = ()
    """From when to when no autoscaler can read anything."""

    def is_out(self, now: float) -> bool:
        return any(begins <= now < ends for begins, ends in self.outages)
