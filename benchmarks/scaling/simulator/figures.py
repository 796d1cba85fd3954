"""What a replay is judged by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.scaling.simulator.engine import Task


@dataclass(slots=True)
class Account:
    """What is counted while it runs."""

    pod_seconds: float = 0.0
    """From asking for a pod until it is gone; for Lambda the time its invocations run."""
    changes: int = 0
    interrupted: int = 0
    """Tasks that were cut off at the end of a drain, and began anew."""
    replicas: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    """What was asked for, from when."""
    backlog: list[tuple[float, int]] = field(default_factory=list)

    def changed(self, now: float, replicas: int) -> None:
        self.changes += 1
        self.replicas.append((now, replicas))


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay: its tasks and what it took."""

    tasks: Sequence[Task]
    account: Account


@dataclass(frozen=True, slots=True)
class Figures:
    """Several replays of one workload, which differ in seed and phase: waits pooled, the rest a mean."""

    p50_wait_s: float
    p95_wait_s: float
    max_wait_s: float
    objective_kept: float
    """Share of the tasks that waited no longer than the objective."""
    pod_seconds: float
    changes: float
    interrupted: float

    @classmethod
    def of(cls, replays: Sequence[Replay], objective_seconds: float) -> "Figures":
        waits = sorted(task.wait for replay in replays for task in replay.tasks)
        rounds = len(replays)
        return cls(
            p50_wait_s=quantile(waits, 0.5),
            p95_wait_s=quantile(waits, 0.95),
            max_wait_s=waits[-1],
            objective_kept=sum(wait <= objective_seconds for wait in waits) / len(waits),
            pod_seconds=sum(replay.account.pod_seconds for replay in replays) / rounds,
            changes=sum(replay.account.changes for replay in replays) / rounds,
            interrupted=sum(replay.account.interrupted for replay in replays) / rounds,
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
