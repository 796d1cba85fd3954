"""`python -m benchmarks.scaling`: the operator's scaling, KEDA's and Lambda's on the same workloads, in a simulator.

Every value follows from fixed seeds, so it is the same on every machine.
docs/explanation/scaling.md lists the assumptions.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.scaling.simulator.engine import StageConfig
from benchmarks.scaling.simulator.replay import EXTRA, POLICIES, replay
from benchmarks.scaling.simulator.results import Replay, Summary
from benchmarks.scaling.simulator.workloads import ALL, Workload

PHASES = (1 / 6, 1 / 2, 5 / 6)
"""One replay each. How far the policies are in their poll intervals when tasks arrive is random, so it is averaged."""
JSON_VALUES = ("p95_wait_s", "max_wait_s", "objective_kept", "pod_seconds", "changes", "interrupted")

Results = dict[str, dict[str, Summary]]


def generate_workloads(number: int) -> Iterator[Workload]:
    """All workloads, from the seed of one round."""
    for make in ALL:
        yield make(random.Random(f"{make.__name__} {number}"))


def measure(config: StageConfig, policies: Sequence[str], pictures: Path | None = None) -> Results:
    """Replay every workload under every policy; draw the middle round into the folder `pictures`."""
    replays: dict[str, dict[str, list[Replay]]] = {}
    bar = tqdm(total=len(ALL) * len(PHASES) * len(policies), desc="scaling", disable=None, leave=False)
    for number, phase in enumerate(PHASES):
        for workload in generate_workloads(number):
            for policy in policies:
                done = replay(workload, policy, config, seed=number, phase=phase)
                replays.setdefault(workload.name, {}).setdefault(policy, []).append(done)
                bar.update()
            if pictures is not None and number == len(PHASES) // 2:
                _draw(workload, {name: replays[workload.name][name][-1] for name in POLICIES}, pictures)
    bar.close()
    objective = config.wait_objective_seconds
    return {
        name: {policy: Summary.of(done, objective) for policy, done in by_policy.items()}
        for name, by_policy in replays.items()
    }


def _draw(workload: Workload, replays: dict[str, Replay], folder: Path) -> None:
    from benchmarks.scaling.plots import draw_replays  # matplotlib takes long to import

    draw_replays(workload, replays, folder / f"scaling-{workload.name.replace('_', '-')}.svg")


def table(results: Results) -> str:
    """Markdown, as in docs/explanation/scaling.md."""
    lines = [
        "| workload | policy | p50 wait s | p95 wait s | max wait s | kept | pod-seconds | changes | interrupted |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for workload, by_policy in results.items():
        for policy, it in by_policy.items():
            waits = f"{it.p50_wait_s:.1f} | {it.p95_wait_s:.1f} | {it.max_wait_s:.1f} | {it.objective_kept:.1%}"
            counts = f"{it.pod_seconds:,.0f} | {it.changes:.0f} | {it.interrupted:.1f}"
            lines.append(f"| {workload} | {policy} | {waits} | {counts} |")
    return "\n".join(lines)


def as_json(results: Results) -> str:
    return json.dumps(
        {
            workload: {
                policy: {name: round(getattr(summary, name), 4) for name in JSON_VALUES}
                for policy, summary in by_policy.items()
            }
            for workload, by_policy in results.items()
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--tuned", action="store_true", help="also KEDA with settings chosen for these pods")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw each workload into this folder")
    options = parser.parse_args()
    policies = [*POLICIES, *(EXTRA if options.tuned and not options.json else ())]
    results = measure(StageConfig(), policies, options.pictures)
    print(as_json(results) if options.json else table(results))


if __name__ == "__main__":
    main()
