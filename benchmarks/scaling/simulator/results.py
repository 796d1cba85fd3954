"""What is recorded of a replay, and the summary of several replays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.scaling.simulator.engine import Task


@dataclass(slots=True)
class Recording:
    """What a replay records while it runs."""

    pod_seconds: float = 0.0
    """From the request for a pod until it has terminated; for Lambda the time of its invocations."""
    changes: int = 0
    interrupted: int = 0
    """Tasks that were interrupted at the end of a drain and started again."""
    replicas: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    """(time, replicas asked for) of each change."""
    backlog: list[tuple[float, int]] = field(default_factory=list)
    """(time, waiting tasks) of each sample."""

    def change_replicas(self, now: float, replicas: int) -> None:
        self.changes += 1
        self.replicas.append((now, replicas))


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay."""

    tasks: Sequence[Task]
    recording: Recording


@dataclass(frozen=True, slots=True)
class Summary:
    """Several replays of one workload with different seeds and phases. Waits are pooled, other values are means."""

    p50_wait_s: float
    p95_wait_s: float
    max_wait_s: float
    objective_kept: float
    """Share of the tasks that waited no longer than the objective."""
    pod_seconds: float
    changes: float
    interrupted: float

    @classmethod
    def of(cls, replays: Sequence[Replay], objective_seconds: float) -> "Summary":
        waits = sorted(task.wait for replay in replays for task in replay.tasks)
        count = len(replays)
        return cls(
            p50_wait_s=quantile(waits, 0.5),
            p95_wait_s=quantile(waits, 0.95),
            max_wait_s=waits[-1],
            objective_kept=sum(wait <= objective_seconds for wait in waits) / len(waits),
            pod_seconds=sum(replay.recording.pod_seconds for replay in replays) / count,
            changes=sum(replay.recording.changes for replay in replays) / count,
            interrupted=sum(replay.recording.interrupted for replay in replays) / count,
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
