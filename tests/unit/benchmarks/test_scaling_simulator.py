"""The simulator against closed forms, against manually computed steps, and against its own totals."""

import math
import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import fmean

import pytest

from benchmarks.scaling.simulator.engine import Simulation, StageConfig
from benchmarks.scaling.simulator.keda import Autoscaler, Keda, newest_first
from benchmarks.scaling.simulator.lambda_esm import EventSourceMapping
from benchmarks.scaling.simulator.operator_policy import OperatorPolicy, idle_first
from benchmarks.scaling.simulator.pods import Pods
from benchmarks.scaling.simulator.replay import POLICIES, replay
from benchmarks.scaling.simulator.results import Recording, Replay, Summary, quantile
from benchmarks.scaling.simulator.workloads import ALL, Arrival, Workload, burst, heavy, sparse
from k8s.operator.policy.erlang import wait_probability

CONFIG = StageConfig(depth_noise=0.0)
CHART_DEFAULTS = StageConfig(slots=20, max_replicas=20)


def workload(arrivals: Iterable[Arrival], seconds: float, outages: tuple[tuple[float, float], ...] = ()) -> Workload:
    return Workload(name="test", title="Test", arrivals=tuple(arrivals), seconds=seconds, outages=outages)


def at_once(count: int, task_seconds: float, at: float = 10.0) -> list[Arrival]:
    return [Arrival(at, task_seconds)] * count


def with_pods(work: Workload, replicas: int, config: StageConfig = CONFIG) -> tuple[Simulation, Recording]:
    """Replay with a number of pods that does not change."""
    simulation, recording = Simulation(config, work, random.Random(1)), Recording()
    pods = Pods(simulation, recording, idle_first)
    pods.scale(replicas)
    simulation.run(pods)
    pods.close()
    return simulation, recording


class TestClosedForms:
    @pytest.mark.parametrize(("slots", "load"), [(1, 0.6), (4, 3.0), (10, 8.0)])
    def test_a_random_stream_waits_as_in_erlangs_formula(self, slots: int, load: float) -> None:
        """M/M/c: the share that waits, and the mean wait of all, C / (c - a) in task times."""
        rng = random.Random(slots)
        now, arrivals = 10.0, []
        for _ in range(40_000):
            now += rng.expovariate(load)
            arrivals.append(Arrival(now, rng.expovariate(1.0)))
        config = StageConfig(slots=slots, pod_ready_seconds=0.0)
        simulation, _ = with_pods(workload(arrivals, now + 100), 1, config)
        waits = [task.wait for task in simulation.tasks]
        waiting = wait_probability(slots, load)
        assert sum(wait > 0 for wait in waits) / len(waits) == pytest.approx(waiting, rel=0.1)
        assert fmean(waits) == pytest.approx(waiting / (slots - load), rel=0.2)

    def test_a_regular_stream_below_the_capacity_never_waits(self) -> None:
        """D/D/c: an arrival every second, of ten seconds each, on ten slots."""
        simulation, _ = with_pods(workload((Arrival(10.0 + n, 10.0) for n in range(500)), 600.0), 1)
        assert max(task.wait for task in simulation.tasks) == pytest.approx(0.0, abs=1e-9)

    def test_a_regular_stream_above_the_capacity_waits_ever_longer(self) -> None:
        """D/D/1: twice what one slot can do, so the nth task waits n halves of its time."""
        config = StageConfig(slots=1)
        simulation, _ = with_pods(workload((Arrival(10.0 + n, 2.0) for n in range(100)), 300.0), 1, config)
        assert [task.wait for task in simulation.tasks] == pytest.approx([float(n) for n in range(100)])

    def test_a_burst_is_processed_in_waves(self) -> None:
        """95 tasks of 5 s on 2 pods of 10 slots: five waves; the last starts after four times 5 s."""
        simulation, _ = with_pods(workload(at_once(95, 5.0), 100.0), 2)
        waits = [task.wait for task in simulation.tasks]
        assert waits == pytest.approx([5.0 * (place // 20) for place in range(95)])

    def test_a_pod_receives_tasks_only_when_it_is_ready(self) -> None:
        simulation, recording = with_pods(workload(at_once(5, 5.0, at=0.0), 100.0), 1)
        assert [task.wait for task in simulation.tasks] == [CONFIG.pod_ready_seconds] * 5
        assert recording.pod_seconds == pytest.approx(100.0)


class TestTotals:
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("make", [burst, heavy, sparse])
    def test_every_task_starts_and_ends_once(self, policy: str, make: Callable[[random.Random], Workload]) -> None:
        work = make(random.Random(5))
        done = replay(work, policy, StageConfig(), seed=5, phase=0.5)
        assert len(done.tasks) == len(work.arrivals)
        assert all(task.ended is not None and task.wait >= 0 for task in done.tasks)
        again = sum(task.starts - 1 for task in done.tasks)
        assert again == done.recording.interrupted

    @pytest.mark.parametrize("policy", ["operator", "keda"])
    def test_a_slot_runs_one_task_at_a_time(self, policy: str) -> None:
        """The tasks' times fit into the slots of the pod-seconds."""
        work = burst(random.Random(5))
        done = replay(work, policy, StageConfig(), seed=5, phase=0.5)
        busy = sum(task.seconds for task in done.tasks)
        assert busy <= done.recording.pod_seconds * StageConfig().slots
        assert done.recording.replicas[-1][1] == 0
        assert max(count for _, count in done.recording.replicas) <= StageConfig().max_replicas

    @pytest.mark.parametrize("policy", POLICIES)
    def test_the_same_seed_gives_the_same_results(self, policy: str) -> None:
        def summary() -> Summary:
            work = heavy(random.Random(3))
            return Summary.of([replay(work, policy, StageConfig(), seed=3, phase=0.3)], 10.0)

        assert summary() == summary()


class TestScaleIn:
    def busy_pods(self, task_seconds: float) -> tuple[Simulation, Recording, Pods]:
        simulation = Simulation(CONFIG, workload(at_once(15, task_seconds), 500.0), random.Random(1))
        recording = Recording()
        pods = Pods(simulation, recording, idle_first)
        pods.scale(3)
        return simulation, recording, pods

    def test_a_terminating_pod_finishes_the_tasks_that_fit_into_its_drain(self) -> None:
        simulation, recording, pods = self.busy_pods(task_seconds=20.0)
        simulation.at(15.0, lambda: pods.scale(0))
        simulation.run(pods)
        assert recording.interrupted == 0
        assert [task.ended for task in simulation.tasks] == [30.0] * 15
        assert recording.pod_seconds == pytest.approx(3 * 30.0)

    def test_other_tasks_are_requeued_and_start_again(self) -> None:
        simulation, recording, pods = self.busy_pods(task_seconds=100.0)
        simulation.at(15.0, lambda: pods.scale(0))
        simulation.at(60.0, lambda: pods.scale(2))
        simulation.run(pods)
        assert recording.interrupted == 15
        assert [task.ended for task in simulation.tasks] == [164.0] * 15
        assert [task.wait for task in simulation.tasks] == [0.0] * 15

    def test_the_operator_removes_idle_pods_and_kubernetes_the_newest(self) -> None:
        simulation, _, pods = self.busy_pods(task_seconds=100.0)
        simulation.at(100.0, lambda: pods.scale(4))
        chosen = {}

        def choose() -> None:
            chosen["operator"] = idle_first(pods.pods)[0]
            chosen["kubernetes"] = newest_first(simulation)(pods.pods)[0]
            pods.pods[0].tasks, pods.pods[3].tasks = pods.pods[3].tasks, pods.pods[0].tasks
            chosen["operator with a busy newest"] = idle_first(pods.pods)[0]
            chosen["kubernetes with a busy newest"] = newest_first(simulation)(pods.pods)[0]

        simulation.at(105.0, choose)
        simulation.at(106.0, lambda: simulation.at(1e9, lambda: None))
        simulation.workload = workload(simulation.workload.arrivals, 105.5)
        simulation.run(pods)
        oldest, newest = pods.pods[0], pods.pods[3]
        assert chosen == {
            "operator": newest,
            "kubernetes": newest,
            "operator with a busy newest": oldest,
            "kubernetes with a busy newest": newest,
        }


class TestKeda:
    def test_a_sync_doubles_or_adds_four(self) -> None:
        autoscaler, replicas, steps = Autoscaler(max_replicas=100), 1, []
        for sync in range(7):
            replicas = autoscaler.sync(15.0 * sync, replicas, messages=2_000)
            steps.append(replicas)
        assert steps == [5, 10, 20, 40, 80, 100, 100]

    def test_one_replica_for_every_five_messages(self) -> None:
        assert Autoscaler(max_replicas=100).sync(0.0, 4, messages=36) == 8  # 7.2 rounded up

    @pytest.mark.parametrize(("messages", "replicas"), [(54, 10), (56, 12), (46, 10), (44, 10)])
    def test_a_difference_below_a_tenth_changes_nothing(self, messages: int, replicas: int) -> None:
        assert Autoscaler(max_replicas=100).sync(0.0, 10, messages) == replicas

    def test_it_scales_in_at_once_after_five_minutes(self) -> None:
        autoscaler = Autoscaler(max_replicas=100)
        assert autoscaler.sync(0.0, 20, messages=100) == 20
        sizes = [autoscaler.sync(15.0 * sync, 20, messages=10) for sync in range(1, 21)]
        assert sizes == [20] * 19 + [2]

    def test_from_zero_and_back(self) -> None:
        """One task of 400 s at 31 s: polled at 60, the pod ready at 64, the task ended at 464. The poll at 450 still
        finds it, so the poll at 780 is the first after the cooldown."""
        simulation = Simulation(CONFIG, workload([Arrival(31.0, 400.0)], 1_000.0), random.Random(1))
        recording = Recording()
        keda = Keda(simulation, recording, phase=0.0)
        simulation.run(keda.pods)
        assert recording.replicas == [(0.0, 0), (60.0, 1), (780.0, 0)]
        assert [task.wait for task in simulation.tasks] == [33.0]

    def test_an_outage_changes_nothing(self) -> None:
        simulation = Simulation(
            CONFIG, workload(at_once(500, 5.0, at=100.0), 400.0, outages=((95.0, 200.0),)), random.Random(1)
        )
        recording = Recording()
        simulation.run(Keda(simulation, recording, phase=0.0).pods)
        assert recording.replicas[1] == (210.0, 1)


class TestOperator:
    def test_from_zero_and_back(self) -> None:
        """A task of 3 s at 31 s: polled at 35, started at 39, ended at 42. Its arrival counts for 20 s, so the poll at
        49 is the last that needs a replica; it is removed 60 s later."""
        simulation = Simulation(CONFIG, workload([Arrival(31.0, 3.0)], 300.0), random.Random(1))
        recording = Recording()
        simulation.run(OperatorPolicy(simulation, recording, phase=0.0).pods)
        assert recording.replicas == [(0.0, 0), (35.0, 1), (109.0, 0)]
        assert [task.wait for task in simulation.tasks] == [8.0]

    def test_an_outage_changes_nothing(self) -> None:
        work = workload([*at_once(200, 5.0, at=60.0), *at_once(200, 5.0, at=110.0)], 400.0, outages=((100.0, 200.0),))
        simulation, recording = Simulation(CONFIG, work, random.Random(1)), Recording()
        simulation.run(OperatorPolicy(simulation, recording, phase=0.0).pods)
        assert not [when for when, _ in recording.replicas if 100.0 <= when < 200.0]

    def test_a_burst_waits_half_as_long_as_with_keda(self) -> None:
        """Half of KEDA's p95 wait at most, for at most a tenth more pod-seconds, and no task interrupted."""
        work = burst(random.Random(9))
        operator, keda = (
            Summary.of([replay(work, policy, StageConfig(), seed=9, phase=0.5)], 10.0)
            for policy in ("operator", "keda")
        )
        assert operator.p95_wait_s <= 0.5 * keda.p95_wait_s
        assert operator.pod_seconds <= 1.1 * keda.pod_seconds
        assert operator.interrupted == 0


class TestDocumentedClaims:
    """What docs/explanation/scaling.md claims for every workload, also with the charts' defaults."""

    @pytest.mark.parametrize("config", [StageConfig(), CHART_DEFAULTS], ids=["ten slots", "the charts' defaults"])
    @pytest.mark.parametrize("make", ALL)
    def test_the_operator_is_never_worse_than_keda_in_both_waits_and_pod_seconds(
        self, make: Callable[[random.Random], Workload], config: StageConfig
    ) -> None:
        work = make(random.Random(f"{make.__name__} 1"))
        operator, keda = (
            Summary.of([replay(work, policy, config, seed=1, phase=0.5)], 10.0) for policy in ("operator", "keda")
        )
        assert operator.p95_wait_s <= keda.p95_wait_s or operator.pod_seconds <= keda.pod_seconds
        assert operator.max_wait_s <= keda.max_wait_s or operator.pod_seconds <= keda.pod_seconds
        assert operator.interrupted == 0

    @pytest.mark.parametrize("config", [StageConfig(), CHART_DEFAULTS], ids=["ten slots", "the charts' defaults"])
    @pytest.mark.parametrize("seed", range(6))
    def test_no_task_is_interrupted_however_long_some_are(self, seed: int, config: StageConfig) -> None:
        work = heavy(random.Random(seed))
        assert replay(work, "operator", config, seed=seed, phase=0.5).recording.interrupted == 0


class TestPodStartTimes:
    def test_the_operator_measures_how_long_pods_take_to_start(self) -> None:
        """Within the objective a slot that is ready after 4 s starts 1.2 of 240 tasks, one ready after 30 s just 1."""
        requested = {}
        for seconds in (4.0, 30.0):
            config = StageConfig(pod_ready_seconds=seconds, depth_noise=0.0)
            work = workload([*at_once(1, 5.0, at=10.0), *at_once(240, 5.0, at=400.0)], 600.0)
            simulation, recording = Simulation(config, work, random.Random(1)), Recording()
            simulation.run(OperatorPolicy(simulation, recording, phase=0.0).pods)
            requested[seconds] = next(replicas for when, replicas in recording.replicas if when >= 400.0 and replicas)
        assert requested == {4.0: 20, 30.0: 24}


class TestLambda:
    def test_five_batches_at_first_and_five_more_a_second(self) -> None:
        simulation = Simulation(CONFIG, workload(at_once(1_000, 100.0, at=0.25), 200.0), random.Random(1))
        recording = Recording()
        simulation.run(EventSourceMapping(simulation, recording, phase=0.5))
        running = dict(recording.replicas)
        assert [running[when] for when in (0.25, 0.5, 1.5, 2.5)] == [5, 10, 15, 20]
        assert recording.pod_seconds == pytest.approx((5 + 100) * 100.0)  # the first five find one message each

    def test_a_batch_takes_as_long_as_its_longest_task(self) -> None:
        arrivals = [*at_once(5, 50.0, at=0.25), *at_once(9, 1.0, at=0.3), Arrival(0.3, 30.0)]
        simulation, recording = Simulation(CONFIG, workload(arrivals, 100.0), random.Random(1)), Recording()
        simulation.run(EventSourceMapping(simulation, recording, phase=0.5))
        assert recording.pod_seconds == pytest.approx(5 * 50.0 + 30.0)


def test_a_quantile_is_a_value_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert quantile([7.0], 0.5) == 7.0


def test_a_task_that_never_started_has_an_infinite_wait() -> None:
    simulation = Simulation(CONFIG, workload(at_once(1, 1.0), 20.0), random.Random(1))
    simulation.run(Pods(simulation, Recording(), idle_first))
    summary = Summary.of([Replay(simulation.tasks, Recording())], 10.0)
    assert math.isinf(summary.max_wait_s)
    assert summary.objective_kept == 0.0


def test_counts_read_from_the_queue_are_approximate() -> None:
    simulation = Simulation(StageConfig(depth_noise=0.1), workload(at_once(1, 1.0), 20.0), random.Random(1))
    simulation.in_flight = 1_000
    counts = {(simulation.depth() or (0, 0))[1] for _ in range(100)}
    assert len(counts) > 10
    assert all(900 <= count <= 1_100 for count in counts)
    assert all(before <= after for before, after in pairwise(sorted(counts)))
