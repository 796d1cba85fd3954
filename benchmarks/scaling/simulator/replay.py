"""Replaying a workload under a policy."""

import random
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.figures import Account, Replay
from benchmarks.scaling.simulator.keda import TUNED, Keda
from benchmarks.scaling.simulator.lambda_esm import EventSource
from benchmarks.scaling.simulator.operator_policy import Ours
from benchmarks.scaling.simulator.world import Workload, World

SAMPLE_SECONDS = 2.0
Scaled = Callable[[Simulation, Account, float], Replay]


def _with_pods(scaler: Callable[[Simulation, Account, float], Ours | Keda]) -> Scaled:
    def run(simulation: Simulation, account: Account, phase: float) -> Replay:
        pods = scaler(simulation, account, phase).pods
        simulation.run(pods)
        pods.close()
        return Replay(simulation.tasks, account)

    return run


def _with_functions(simulation: Simulation, account: Account, phase: float) -> Replay:
    simulation.run(EventSource(simulation, account, phase))
    return Replay(simulation.tasks, account)


POLICIES: Mapping[str, Scaled] = {"ours": _with_pods(Ours), "keda": _with_pods(Keda), "lambda": _with_functions}
EXTRA: Mapping[str, Scaled] = {"keda, tuned by hand": _with_pods(partial(Keda, spec=TUNED))}


def replay(workload: Workload, policy: str, world: World, *, seed: int, phase: float) -> Replay:
    """Replay it once.

    :param phase: how far into its first period each periodic look of the policy is at the start, from 0 to 1.
    """
    simulation = Simulation(world, workload, random.Random(seed))
    account = Account()

    def sample() -> None:
        account.backlog.append((simulation.now, len(simulation.visible)))
        simulation.at(simulation.now + SAMPLE_SECONDS, sample)

    simulation.at(0.0, sample)
    return {**POLICIES, **EXTRA}[policy](simulation, account, phase)
