"""`python -m benchmarks.scaling.cluster`: a burst of 500 tasks on a real cluster, scaled by the operator and by KEDA.

Needs KUBECONFIG, kubectl, helm, KEDA in the namespace `keda`, and both images (IMAGE, IMAGE_TAG). Installs a local
stack, an operator and two stages in namespaces of its own, and removes them. The tasks are sent to the queue directly,
so the operator gets no arrivals from ingest. The number of started tasks is read from the queue's depth twice a second.
Since all tasks arrive at once, their waits follow from it.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from benchmarks.scaling.cluster_run import Burst, Measured, run_burst
from benchmarks.scaling.simulator.engine import StageConfig
from benchmarks.scaling.simulator.replay import replay
from benchmarks.scaling.simulator.results import Summary
from benchmarks.scaling.simulator.workloads import Arrival, Workload
from tests.support.cluster.operator_on_cluster import InstalledOperator, installed_operator, wait_ready
from tests.support.cluster.tools import Namespace, why_no_cluster

KEDA_NAMESPACE = "keda"
_PHASES = (1 / 6, 1 / 2, 5 / 6)


def stage_values(engine: str, burst: Burst) -> dict[str, object]:
    """A stage whose tasks take as long as the simulator's."""
    return {
        "scaling": {"engine": engine, "maxReplicas": burst.max_replicas},
        "processor": {"settings": {"ECHO_SECONDS": burst.task_seconds, "CONCURRENCY": burst.slots}},
        "shutdown": {"processorGraceSeconds": 45},
    }


def measure(policies: Sequence[str], burst: Burst, *, shows_stages: bool = False) -> dict[str, Measured]:
    """Send the burst through one stage after another."""
    measured = {}
    with installed_operator() as operator:
        _allow_ingress(operator.home, KEDA_NAMESPACE)
        for namespace, policy in zip(operator.namespaces, policies, strict=False):
            with (
                _stage(operator, namespace, policy, burst),
                _watched(namespace, policy) if shows_stages else nullcontext(),
            ):
                measured[policy] = run_burst(operator, namespace, policy, burst)
                print(f"{policy}: {measured[policy].summary}", file=sys.stderr)
    return measured


@contextmanager
def _stage(operator: InstalledOperator, namespace: Namespace, name: str, burst: Burst) -> Iterator[None]:
    operator.install(namespace, name, **stage_values(name, burst))
    try:
        wait_ready(namespace, name, seconds=180)
        yield
    finally:
        namespace.helm("uninstall", name, "--wait")


@contextmanager
def _watched(namespace: Namespace, name: str) -> Iterator[None]:
    """Show the Stage's columns whenever they change."""
    with subprocess.Popen(["kubectl", "-n", namespace.name, "get", "stg", name, "-w"]) as watch:
        try:
            yield
        finally:
            watch.terminate()


def _allow_ingress(home: Namespace, namespace: str) -> None:
    """KEDA reads the depth of the emulated queue."""
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer]}]}
    home.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "scaling-benchmark"},
            "spec": spec,
        }
    )


def simulate(policy: str, burst: Burst, pod_ready_seconds: float) -> Summary:
    """Replay the burst in the simulator, with the cluster's start time and limits."""
    config = StageConfig(
        pod_ready_seconds=pod_ready_seconds, slots=burst.slots, max_replicas=burst.max_replicas, depth_noise=0.0
    )
    rng = random.Random(1)
    arrivals = sorted(60.0 + rng.random() for _ in range(burst.tasks))
    workload = Workload(
        name="burst", title="Burst", arrivals=tuple(Arrival(at, burst.task_seconds) for at in arrivals), seconds=1_200.0
    )
    return Summary.of(
        [replay(workload, policy, config, seed=1, phase=phase) for phase in _PHASES], config.wait_objective_seconds
    )


def table(measured: dict[str, Measured], burst: Burst) -> str:
    lines = [
        "| policy | | p50 wait s | p95 wait s | max wait s | kept | pod-seconds | changes | interrupted |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for policy, it in measured.items():
        predicted = simulate(policy, burst, it.pod_ready_seconds)
        lines += [_row(policy, "cluster", it.summary), _row(policy, "simulator", predicted)]
        differences = (
            f"{name} {getattr(it.summary, name) / getattr(predicted, name) - 1:+.0%}"
            for name in ("p50_wait_s", "p95_wait_s", "max_wait_s", "pod_seconds")
        )
        lines.append(f"| {policy} | cluster against simulator | {', '.join(differences)} |||||||")
    ready = ", ".join(f"{policy} {it.pod_ready_seconds:.1f} s" for policy, it in measured.items())
    return "\n".join([*lines, "", f"mean start time of a pod: {ready}"])


def _row(policy: str, where: str, it: Summary) -> str:
    waits = f"{it.p50_wait_s:.1f} | {it.p95_wait_s:.1f} | {it.max_wait_s:.1f} | {it.objective_kept:.1%}"
    return f"| {policy} | {where} | {waits} | {it.pod_seconds:,.0f} | {it.changes:.0f} | {it.interrupted:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling.cluster", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--max-replicas", type=int, default=8, help="as many as the cluster has room for")
    parser.add_argument("--policies", default="operator,keda")
    parser.add_argument("--watch", action="store_true", help="also show the Stages as `kubectl get stg -w` does")
    options = parser.parse_args()
    if reason := why_no_cluster():
        parser.error(reason)
    burst = Burst(tasks=options.tasks, max_replicas=options.max_replicas)
    measured = measure(options.policies.split(","), burst, shows_stages=options.watch)
    print(table(measured, burst))
    if options.json:
        print(json.dumps({policy: it.as_json() for policy, it in measured.items()}))


if __name__ == "__main__":
    main()
