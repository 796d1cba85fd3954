"""Replays a workload under a policy."""

import random
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation, StageConfig
from benchmarks.scaling.simulator.keda import TUNED, Keda
from benchmarks.scaling.simulator.lambda_esm import EventSourceMapping
from benchmarks.scaling.simulator.operator_policy import OperatorPolicy
from benchmarks.scaling.simulator.results import Recording, Replay
from benchmarks.scaling.simulator.workloads import Workload

SAMPLE_SECONDS = 2.0
Run = Callable[[Simulation, Recording, float], Replay]


def _with_pods(policy: Callable[[Simulation, Recording, float], OperatorPolicy | Keda]) -> Run:
    def run(simulation: Simulation, recording: Recording, phase: float) -> Replay:
        pods = policy(simulation, recording, phase).pods
        simulation.run(pods)
        pods.close()
        return Replay(simulation.tasks, recording)

    return run


def _with_lambda(simulation: Simulation, recording: Recording, phase: float) -> Replay:
    simulation.run(EventSourceMapping(simulation, recording, phase))
    return Replay(simulation.tasks, recording)


POLICIES: Mapping[str, Run] = {
    "operator": _with_pods(OperatorPolicy),
    "keda": _with_pods(Keda),
    "lambda": _with_lambda,
}
EXTRA: Mapping[str, Run] = {"keda, tuned by hand": _with_pods(partial(Keda, spec=TUNED))}


def replay(workload: Workload, policy: str, config: StageConfig, *, seed: int, phase: float) -> Replay:
    """Replay it once.

    :param phase: which part of its poll interval each poll of the policy has behind it at the start, from 0 to 1.
    """
    simulation = Simulation(config, workload, random.Random(seed))
    recording = Recording()

    def sample() -> None:
        recording.backlog.append((simulation.now, len(simulation.visible)))
        simulation.at(simulation.now + SAMPLE_SECONDS, sample)

    simulation.at(0.0, sample)
    return {**POLICIES, **EXTRA}[policy](simulation, recording, phase)
