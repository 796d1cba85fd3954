"""KEDA's aws-sqs-queue scaler and the HorizontalPodAutoscaler behind it, with their defaults.

Sources: keda.sh/docs, "AWS SQS Queue" (visible and in flight, queueLength 5) and "ScaledObject specification"
(pollingInterval 30, cooldownPeriod 300); kubernetes.io/docs, "Horizontal Pod Autoscaling" (sync every 15 s, tolerance
0.1, the defaults of behavior, no change while a metric is unavailable) and "ReplicaSet" (which pods are removed first).
"""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.pods import Pod, Pods
from benchmarks.scaling.simulator.results import Recording

SYNC_SECONDS = 15.0
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """Its settings, with their defaults."""

    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0
    queue_length: int = 5
    stabilisation_seconds: float = 300.0


DEFAULTS = ScaledObject()
TUNED = ScaledObject(polling_seconds=5.0, cooldown_seconds=60.0, queue_length=10, stabilisation_seconds=60.0)
"""For pods with ten slots: one message per slot, and polled and scaled in as fast as the operator does."""


@dataclass
class Autoscaler:
    """The HPA's arithmetic: from replicas and metric to replicas."""

    max_replicas: int
    spec: ScaledObject = DEFAULTS
    _past: list[tuple[float, int]] = field(default_factory=list)

    def sync(self, now: float, replicas: int, messages: int) -> int:
        """The replicas to set, if there are any now."""
        desired = replicas
        if abs(messages / (self.spec.queue_length * replicas) - 1) > TOLERANCE:
            desired = math.ceil(messages / self.spec.queue_length)
        if not self._past:
            self._past.append((now, replicas))
        self._past = [past for past in self._past if past[0] > now - self.spec.stabilisation_seconds]
        self._past.append((now, desired))
        if desired < replicas:
            desired = min(replicas, max(count for _, count in self._past))
        limit = max(replicas * 2, replicas + 4)
        return max(1, min(desired, limit, self.max_replicas))


class Keda:
    """KEDA scales between zero and one, the HPA above one."""

    def __init__(
        self, simulation: Simulation, recording: Recording, phase: float, spec: ScaledObject = DEFAULTS
    ) -> None:
        self._simulation = simulation
        self._spec = spec
        self._autoscaler = Autoscaler(simulation.config.max_replicas, spec)
        self._active_at = float("-inf")
        self.pods = Pods(simulation, recording, newest_first(simulation))
        simulation.at(phase * self._spec.polling_seconds, self._poll)
        simulation.at(phase * SYNC_SECONDS, self._sync)

    def _poll(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + self._spec.polling_seconds, self._poll)
        messages = self._messages()
        if messages is None:
            return
        if messages > 0:
            self._active_at = simulation.now
            if not self.pods.replicas:
                self.pods.scale(1)
        elif self.pods.replicas and simulation.now - self._active_at > self._spec.cooldown_seconds:
            self.pods.scale(0)

    def _sync(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + SYNC_SECONDS, self._sync)
        messages = self._messages()
        if messages is not None and self.pods.replicas:
            self.pods.scale(self._autoscaler.sync(simulation.now, self.pods.replicas, messages))

    def _messages(self) -> int | None:
        depth = self._simulation.depth()
        return None if depth is None else sum(depth)


def newest_first(simulation: Simulation) -> Callable[[Iterable[Pod]], list[Pod]]:
    """Pods that are not ready, then those ready for the shortest time on a scale of powers of two, then random."""
    rng: random.Random = simulation.rng

    def key(pod: Pod) -> tuple[bool, int, float]:
        if pod.ready_at is None:
            return (False, 0, rng.random())
        return (True, int(math.log2(max(1.0, simulation.now - pod.ready_at))), rng.random())

    return lambda pods: sorted(pods, key=key)
