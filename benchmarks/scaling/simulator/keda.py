"""KEDA's aws-sqs-queue scaler and the HorizontalPodAutoscaler behind it, with their defaults.

Sources: keda.sh/docs, "AWS SQS Queue" (visible and in flight, queueLength 5) and "ScaledObject specification"
(pollingInterval 30, cooldownPeriod 300); kubernetes.io/docs, "Horizontal Pod Autoscaling" (sync every 15 s, tolerance
0.1, the defaults of behavior, no change while a metric cannot be had) and "ReplicaSet" (which pods go first).
"""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.figures import Account
from benchmarks.scaling.simulator.pods import Pod, Pods

SYNC_SECONDS = 15.0
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """What one can set, with the defaults."""

    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0
    queue_length: int = 5
    stabilisation_seconds: float = 300.0


DEFAULTS = ScaledObject()
TUNED = ScaledObject(polling_seconds=5.0, cooldown_seconds=60.0, queue_length=10, stabilisation_seconds=60.0)
"""Set by hand for pods of ten slots: a message a slot, looked up and let go as fast as we do."""


@dataclass
class Autoscaler:
    """The HPA's arithmetic: what a sync makes of the replicas and the metric."""

    max_replicas: int
    spec: ScaledObject = DEFAULTS
    _past: list[tuple[float, int]] = field(default_factory=list)

    def sync(self, now: float, replicas: int, messages: int) -> int:
        """Replicas to ask for, when there are some."""
        wanted = replicas
        if abs(messages / (self.spec.queue_length * replicas) - 1) > TOLERANCE:
            wanted = math.ceil(messages / self.spec.queue_length)
        if not self._past:
            self._past.append((now, replicas))
        self._past = [past for past in self._past if past[0] > now - self.spec.stabilisation_seconds]
        self._past.append((now, wanted))
        if wanted < replicas:
            wanted = min(replicas, max(count for _, count in self._past))
        most = max(replicas * 2, replicas + 4)
        return max(1, min(wanted, most, self.max_replicas))


class Keda:
    """KEDA between zero and one, the HPA above."""

    def __init__(self, simulation: Simulation, account: Account, phase: float, spec: ScaledObject = DEFAULTS) -> None:
        self._simulation = simulation
        self._spec = spec
        self._autoscaler = Autoscaler(simulation.world.max_replicas, spec)
        self._active_at = float("-inf")
        self.pods = Pods(simulation, account, newest_first(simulation))
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
    """Not ready, then those ready for the shortest time on a scale of powers of two, then chance."""
    rng: random.Random = simulation.rng

    def rank(pod: Pod) -> tuple[bool, int, float]:
        if pod.ready_at is None:
            return (False, 0, rng.random())
        return (True, int(math.log2(max(1.0, simulation.now - pod.ready_at))), rng.random())

    return lambda pods: sorted(pods, key=rank)
