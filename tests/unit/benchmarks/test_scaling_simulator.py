"""The simulator against closed forms, against steps worked out by hand, and against its own books."""

import math
import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import fmean

import pytest

from benchmarks.scaling.simulator.engine import Simulation
from benchmarks.scaling.simulator.figures import Account, Figures, Replay, quantile
from benchmarks.scaling.simulator.keda import Autoscaler, Keda, newest_first
from benchmarks.scaling.simulator.lambda_esm import EventSource
from benchmarks.scaling.simulator.operator_policy import Ours, idle_first
from benchmarks.scaling.simulator.pods import Pods
from benchmarks.scaling.simulator.replay import POLICIES, replay
from benchmarks.scaling.simulator.workloads import ALL, burst, heavy, sparse
from benchmarks.scaling.simulator.world import Arrival, Workload, World
from k8s.operator.policy.erlang import wait_probability

WORLD = World(depth_noise=0.0)
CHART_DEFAULTS = World(slots=20, max_replicas=20)


def workload(arrivals: Iterable[Arrival], seconds: float, outages: tuple[tuple[float, float], ...] = ()) -> Workload:
    return Workload(name="test", title="Test", arrivals=tuple(arrivals), seconds=seconds, outages=outages)


def at_once(count: int, task_seconds: float, at: float = 10.0) -> list[Arrival]:
    return [Arrival(at, task_seconds)] * count


def with_pods(work: Workload, replicas: int, world: World = WORLD) -> tuple[Simulation, Account]:
    """Replay with a number of pods that does not change."""
    simulation, account = Simulation(world, work, random.Random(1)), Account()
    pods = Pods(simulation, account, idle_first)
    pods.scale(replicas)
    simulation.run(pods)
    pods.close()
    return simulation, account


class TestClosedForms:
    @pytest.mark.parametrize(("slots", "load"), [(1, 0.6), (4, 3.0), (10, 8.0)])
    def test_a_random_stream_waits_as_erlang_says(self, slots: int, load: float) -> None:
        """M/M/c: the share that waits, and the mean wait of all, C / (c - a) in task times."""
        rng = random.Random(slots)
        now, arrivals = 10.0, []
        for _ in range(40_000):
            now += rng.expovariate(load)
            arrivals.append(Arrival(now, rng.expovariate(1.0)))
        world = World(slots=slots, pod_ready_seconds=0.0)
        simulation, _ = with_pods(workload(arrivals, now + 100), 1, world)
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
        world = World(slots=1)
        simulation, _ = with_pods(workload((Arrival(10.0 + n, 2.0) for n in range(100)), 300.0), 1, world)
        assert [task.wait for task in simulation.tasks] == pytest.approx([float(n) for n in range(100)])

    def test_a_burst_is_worked_off_in_waves(self) -> None:
        """95 tasks of 5 s on 2 pods of 10 slots: five waves; the last starts after four times 5 s."""
        simulation, _ = with_pods(workload(at_once(95, 5.0), 100.0), 2)
        waits = [task.wait for task in simulation.tasks]
        assert waits == pytest.approx([5.0 * (place // 20) for place in range(95)])

    def test_a_pod_works_when_it_is_ready_and_no_earlier(self) -> None:
        simulation, account = with_pods(workload(at_once(5, 5.0, at=0.0), 100.0), 1)
        assert [task.wait for task in simulation.tasks] == [WORLD.pod_ready_seconds] * 5
        assert account.pod_seconds == pytest.approx(100.0)


class TestBooks:
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("make", [burst, heavy, sparse])
    def test_every_task_starts_and_ends_once(self, policy: str, make: Callable[[random.Random], Workload]) -> None:
        work = make(random.Random(5))
        done = replay(work, policy, World(), seed=5, phase=0.5)
        assert len(done.tasks) == len(work.arrivals)
        assert all(task.ended is not None and task.wait >= 0 for task in done.tasks)
        again = sum(task.starts - 1 for task in done.tasks)
        assert again == done.account.interrupted

    @pytest.mark.parametrize("policy", ["ours", "keda"])
    def test_slots_are_never_used_twice(self, policy: str) -> None:
        """The time that tasks ran for fits into the slots of the pods that were paid for."""
        work = burst(random.Random(5))
        done = replay(work, policy, World(), seed=5, phase=0.5)
        busy = sum(task.seconds for task in done.tasks)
        assert busy <= done.account.pod_seconds * World().slots
        assert done.account.replicas[-1][1] == 0
        assert max(count for _, count in done.account.replicas) <= World().max_replicas

    @pytest.mark.parametrize("policy", POLICIES)
    def test_the_same_seed_gives_the_same_figures(self, policy: str) -> None:
        def figures() -> Figures:
            work = heavy(random.Random(3))
            return Figures.of([replay(work, policy, World(), seed=3, phase=0.3)], 10.0)

        assert figures() == figures()


class TestScaleIn:
    def busy_pods(self, task_seconds: float) -> tuple[Simulation, Account, Pods]:
        simulation = Simulation(WORLD, workload(at_once(15, task_seconds), 500.0), random.Random(1))
        account = Account()
        pods = Pods(simulation, account, idle_first)
        pods.scale(3)
        return simulation, account, pods

    def test_a_pod_that_goes_finishes_what_fits_into_its_drain(self) -> None:
        simulation, account, pods = self.busy_pods(task_seconds=20.0)
        simulation.at(15.0, lambda: pods.scale(0))
        simulation.run(pods)
        assert account.interrupted == 0
        assert [task.ended for task in simulation.tasks] == [30.0] * 15
        assert account.pod_seconds == pytest.approx(3 * 30.0)

    def test_what_does_not_fit_is_handed_back_and_begins_anew(self) -> None:
        simulation, account, pods = self.busy_pods(task_seconds=100.0)
        simulation.at(15.0, lambda: pods.scale(0))
        simulation.at(60.0, lambda: pods.scale(2))
        simulation.run(pods)
        assert account.interrupted == 15
        assert [task.ended for task in simulation.tasks] == [164.0] * 15
        assert [task.wait for task in simulation.tasks] == [0.0] * 15

    def test_ours_lets_the_idle_go_and_kubernetes_the_newest(self) -> None:
        simulation, _, pods = self.busy_pods(task_seconds=100.0)
        simulation.at(100.0, lambda: pods.scale(4))
        chosen = {}

        def look() -> None:
            chosen["ours"] = idle_first(pods.pods)[0]
            chosen["kubernetes"] = newest_first(simulation)(pods.pods)[0]
            pods.pods[0].tasks, pods.pods[3].tasks = pods.pods[3].tasks, pods.pods[0].tasks
            chosen["ours with a busy newest"] = idle_first(pods.pods)[0]
            chosen["kubernetes with a busy newest"] = newest_first(simulation)(pods.pods)[0]

        simulation.at(105.0, look)
        simulation.at(106.0, lambda: simulation.at(1e9, lambda: None))
        simulation.workload = workload(simulation.workload.arrivals, 105.5)
        simulation.run(pods)
        oldest, newest = pods.pods[0], pods.pods[3]
        assert chosen == {
            "ours": newest,
            "kubernetes": newest,
            "ours with a busy newest": oldest,
            "kubernetes with a busy newest": newest,
        }


class TestKeda:
    def test_it_grows_by_doubling_or_four_a_sync(self) -> None:
        autoscaler, replicas, steps = Autoscaler(max_replicas=100), 1, []
        for sync in range(7):
            replicas = autoscaler.sync(15.0 * sync, replicas, messages=2_000)
            steps.append(replicas)
        assert steps == [5, 10, 20, 40, 80, 100, 100]

    def test_it_wants_a_replica_for_every_five_messages(self) -> None:
        assert Autoscaler(max_replicas=100).sync(0.0, 4, messages=36) == 8  # 7.2 rounded up

    @pytest.mark.parametrize(("messages", "replicas"), [(54, 10), (56, 12), (46, 10), (44, 10)])
    def test_less_than_a_tenth_more_moves_nothing(self, messages: int, replicas: int) -> None:
        assert Autoscaler(max_replicas=100).sync(0.0, 10, messages) == replicas

    def test_it_shrinks_at_once_when_less_was_wanted_for_five_minutes(self) -> None:
        autoscaler = Autoscaler(max_replicas=100)
        assert autoscaler.sync(0.0, 20, messages=100) == 20
        sizes = [autoscaler.sync(15.0 * sync, 20, messages=10) for sync in range(1, 21)]
        assert sizes == [20] * 19 + [2]

    def test_from_zero_and_back(self) -> None:
        """One task of 400 s at 31 s: seen by the poll at 60, ready at 64, done at 464; still active at the poll of
        450, so the poll of 780 is the first that is more than the cooldown later."""
        simulation = Simulation(WORLD, workload([Arrival(31.0, 400.0)], 1_000.0), random.Random(1))
        account = Account()
        keda = Keda(simulation, account, phase=0.0)
        simulation.run(keda.pods)
        assert account.replicas == [(0.0, 0), (60.0, 1), (780.0, 0)]
        assert [task.wait for task in simulation.tasks] == [33.0]

    def test_nothing_moves_while_nothing_can_be_read(self) -> None:
        simulation = Simulation(
            WORLD, workload(at_once(500, 5.0, at=100.0), 400.0, outages=((95.0, 200.0),)), random.Random(1)
        )
        account = Account()
        simulation.run(Keda(simulation, account, phase=0.0).pods)
        assert account.replicas[1] == (210.0, 1)


class TestOurs:
    def test_from_zero_and_back(self) -> None:
        """A task of 3 s at 31 s: seen by the look at 35, begun at 39, done at 42. Its arrival counts for 20 s, so the
        look at 49 is the last that wants a replica; 60 s later it goes."""
        simulation = Simulation(WORLD, workload([Arrival(31.0, 3.0)], 300.0), random.Random(1))
        account = Account()
        simulation.run(Ours(simulation, account, phase=0.0).pods)
        assert account.replicas == [(0.0, 0), (35.0, 1), (109.0, 0)]
        assert [task.wait for task in simulation.tasks] == [8.0]

    def test_nothing_moves_while_nothing_can_be_read(self) -> None:
        work = workload([*at_once(200, 5.0, at=60.0), *at_once(200, 5.0, at=110.0)], 400.0, outages=((100.0, 200.0),))
        simulation, account = Simulation(WORLD, work, random.Random(1)), Account()
        simulation.run(Ours(simulation, account, phase=0.0).pods)
        assert not [when for when, _ in account.replicas if 100.0 <= when < 200.0]

    def test_the_goal_on_a_burst(self) -> None:
        """Half of KEDA's p95 wait at most, for at most a tenth more pod-seconds, and no task interrupted."""
        work = burst(random.Random(9))
        ours, keda = (
            Figures.of([replay(work, policy, World(), seed=9, phase=0.5)], 10.0) for policy in ("ours", "keda")
        )
        assert ours.p95_wait_s <= 0.5 * keda.p95_wait_s
        assert ours.pod_seconds <= 1.1 * keda.pod_seconds
        assert ours.interrupted == 0


class TestGoals:
    """What docs/scaling.md says of every workload, with its own pods and with those of the charts' defaults."""

    @pytest.mark.parametrize("world", [World(), CHART_DEFAULTS], ids=["ten slots", "the charts' defaults"])
    @pytest.mark.parametrize("make", ALL)
    def test_ours_is_nowhere_worse_than_kedas_both_in_waits_and_in_price(
        self, make: Callable[[random.Random], Workload], world: World
    ) -> None:
        work = make(random.Random(f"{make.__name__} 1"))
        ours, keda = (Figures.of([replay(work, policy, world, seed=1, phase=0.5)], 10.0) for policy in ("ours", "keda"))
        assert ours.p95_wait_s <= keda.p95_wait_s or ours.pod_seconds <= keda.pod_seconds
        assert ours.max_wait_s <= keda.max_wait_s or ours.pod_seconds <= keda.pod_seconds
        assert ours.interrupted == 0

    @pytest.mark.parametrize("world", [World(), CHART_DEFAULTS], ids=["ten slots", "the charts' defaults"])
    @pytest.mark.parametrize("seed", range(6))
    def test_no_task_is_interrupted_however_long_some_are(self, seed: int, world: World) -> None:
        work = heavy(random.Random(seed))
        assert replay(work, "ours", world, seed=seed, phase=0.5).account.interrupted == 0


class TestStarts:
    def test_the_policy_learns_how_long_pods_take_to_start(self) -> None:
        """Of 240 tasks, a slot that is there after 4 s starts 1.2 within the objective, one after 30 s the first."""
        asked = {}
        for seconds in (4.0, 30.0):
            world = World(pod_ready_seconds=seconds, depth_noise=0.0)
            work = workload([*at_once(1, 5.0, at=10.0), *at_once(240, 5.0, at=400.0)], 600.0)
            simulation, account = Simulation(world, work, random.Random(1)), Account()
            simulation.run(Ours(simulation, account, phase=0.0).pods)
            asked[seconds] = next(replicas for when, replicas in account.replicas if when >= 400.0 and replicas)
        assert asked == {4.0: 20, 30.0: 24}


class TestLambda:
    def test_five_batches_at_first_and_five_more_a_second(self) -> None:
        simulation = Simulation(WORLD, workload(at_once(1_000, 100.0, at=0.25), 200.0), random.Random(1))
        account = Account()
        simulation.run(EventSource(simulation, account, phase=0.5))
        running = dict(account.replicas)
        assert [running[when] for when in (0.25, 0.5, 1.5, 2.5)] == [5, 10, 15, 20]
        assert account.pod_seconds == pytest.approx((5 + 100) * 100.0)  # the first five find one message each

    def test_a_batch_takes_as_long_as_its_longest_task(self) -> None:
        arrivals = [*at_once(5, 50.0, at=0.25), *at_once(9, 1.0, at=0.3), Arrival(0.3, 30.0)]
        simulation, account = Simulation(WORLD, workload(arrivals, 100.0), random.Random(1)), Account()
        simulation.run(EventSource(simulation, account, phase=0.5))
        assert account.pod_seconds == pytest.approx(5 * 50.0 + 30.0)


def test_a_quantile_is_a_value_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert quantile([7.0], 0.5) == 7.0


def test_a_task_that_never_started_waits_for_ever() -> None:
    simulation = Simulation(WORLD, workload(at_once(1, 1.0), 20.0), random.Random(1))
    simulation.run(Pods(simulation, Account(), idle_first))
    figures = Figures.of([Replay(simulation.tasks, Account())], 10.0)
    assert math.isinf(figures.max_wait_s)
    assert figures.objective_kept == 0.0


def test_counts_read_from_the_queue_are_approximate() -> None:
    simulation = Simulation(World(depth_noise=0.1), workload(at_once(1, 1.0), 20.0), random.Random(1))
    simulation.in_flight = 1_000
    counts = {(simulation.depth() or (0, 0))[1] for _ in range(100)}
    assert len(counts) > 10
    assert all(900 <= count <= 1_100 for count in counts)
    assert all(before <= after for before, after in pairwise(sorted(counts)))
