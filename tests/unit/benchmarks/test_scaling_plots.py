"""The pictures of docs/explanation/scaling.md."""

import random
from pathlib import Path

from benchmarks.scaling.plots import STEPS, draw_replays, maxima
from benchmarks.scaling.simulator.engine import StageConfig
from benchmarks.scaling.simulator.replay import POLICIES, replay
from benchmarks.scaling.simulator.workloads import sparse


def test_no_peak_is_lost() -> None:
    points = [(0.0, 1), (10.2, 50), (10.3, 2), (20.0, 0)]
    values = maxima(points, seconds=float(STEPS))
    assert [values[second] for second in (9, 10, 11, 19, 20)] == [1, 50, 2, 2, 2]
    assert values[21] == 0


def test_the_same_replays_draw_the_same_file(tmp_path: Path) -> None:
    workload = sparse(random.Random(1))
    replays = {policy: replay(workload, policy, StageConfig(), seed=1, phase=0.5) for policy in POLICIES}
    for name in ("one.svg", "other.svg"):
        draw_replays(workload, replays, tmp_path / name)
    picture = (tmp_path / "one.svg").read_text()
    assert picture == (tmp_path / "other.svg").read_text()
    assert all(policy in picture for policy in POLICIES)
    assert workload.title in picture
