"""No accepted task is lost during any outages, drains and kills (docs/explanation/guarantees.md)."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notification_api import Task
from tests.support.processor.simulation import FAR_SECONDS, SETTINGS, USER, Simulation
from tests.support.virtual_time import run_in_virtual_time

EVENTS = (
    "no fault",
    "topics out",
    "cache out",
    "momento out",
    "momento answers lost",
    "queue refuses",
    "queue silent",
    "queue answers lost",
    "all out",
    "drain",
    "kill",
    "second process",
)
KIND = tuple[float, bool, bool]


async def play(
    tasks: Sequence[KIND], schedule: Sequence[tuple[float, str]], deliveries_before: int = 0, processes: int = 1
) -> Simulation:
    """Send the tasks, apply the schedule, then remove all faults and wait until the queue is empty.

    :param deliveries_before: how often each message has already been received and requeued.
    """
    simulation = Simulation(processes)
    simulation.queue.deliveries_before = deliveries_before
    for number, (seconds, fails, idempotent) in enumerate(tasks):
        simulation.send(str(number), seconds, fails=fails, idempotent=idempotent)
    for pause_seconds, event in schedule:
        await asyncio.sleep(pause_seconds)
        await simulation.event(event)
    await simulation.event("no fault")
    async with asyncio.timeout(FAR_SECONDS):
        while len(simulation.queue):  # noqa: ASYNC110 — the model has no events
            await asyncio.sleep(10)
    await simulation.close()
    return simulation


def assert_nothing_lost(simulation: Simulation, tasks: Sequence[KIND]) -> None:
    """Each task is in the history once, with the status that was published, and dead-lettered where it failed."""
    statuses = simulation.momento.history(USER)
    assert simulation.queue.moved == []
    assert set(statuses) == {str(number) for number in range(len(tasks))}
    assert len(simulation.momento.dictionaries[f"history:{USER}"]) == len(tasks)
    assert set(simulation.momento.published) == set(statuses.items())
    assert {Simulation.task_of(body) for body in simulation.dead_letters.bodies} == {
        task_id for task_id, status in statuses.items() if status == "failed"
    }
    for number, (_, fails, _) in enumerate(tasks):
        # A task that runs isolated while its process is killed may be dead-lettered as a poison pill.
        assert statuses[str(number)] == ("failed" if fails else "finished") or (simulation.kills and not fails)
    for process in simulation.ended:
        assert max(process.finished.values(), default=0) <= 1, "a process has run a finished handler again"


TASKS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 20.0, 100.0]), st.booleans(), st.booleans()), min_size=1, max_size=6
)
SCHEDULES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.005, 0.011, 0.1, 1.0, 7.0, 31.0, 100.0, 3_000.0]), st.sampled_from(EVENTS)),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(TASKS, SCHEDULES, st.integers(1, 10))
def test_any_schedule_of_outages_kills_and_drains_loses_nothing(
    tasks: Sequence[KIND], schedule: Sequence[tuple[float, str]], processes: int
) -> None:
    assert_nothing_lost(run_in_virtual_time(play(tasks, schedule, processes=processes)), tasks)


@pytest.mark.parametrize("out", ["topics out", "cache out", "momento out", "momento answers lost", "all out"])
@pytest.mark.parametrize("seconds", [3, 20, 200, 4_000, 20_000])
def test_an_outage_of_any_length_loses_nothing(out: str, seconds: float) -> None:
    tasks = [(0.5, False, False)] * 4 + [(1.0, True, False), (1.0, False, True)]
    simulation = run_in_virtual_time(play(tasks, [(0.1, out), (seconds, "no fault")]))
    assert_nothing_lost(simulation, tasks)


@pytest.mark.parametrize("out", ["topics out", "cache out", "momento out", "momento answers lost"])
@pytest.mark.parametrize("count", [1, 12])
def test_an_outage_with_few_tasks_and_many_processes_loses_nothing(out: str, count: int) -> None:
    """Processes that each received a task to detect the outage would use up its deliveries."""
    tasks = [(0.5, False, False)] * count
    simulation = run_in_virtual_time(play(tasks, [(0.1, out), (6_000, "no fault")], processes=10))
    assert_nothing_lost(simulation, tasks)


@pytest.mark.parametrize("end", ["drain", "kill"])
@pytest.mark.parametrize("out", ["topics out", "cache out", "momento out"])
@pytest.mark.parametrize("pause_seconds", [5, 400])
def test_processes_that_are_replaced_in_an_outage_lose_nothing(out: str, end: str, pause_seconds: float) -> None:
    tasks = [(0.5, False, False), (0.5, True, False), (0.5, False, True)]
    replaced = [(pause_seconds, end)] * 15
    simulation = run_in_virtual_time(play(tasks, [(0.1, out), *replaced, (600, "no fault")], processes=3))
    assert_nothing_lost(simulation, tasks)


@pytest.mark.parametrize("fault", ["refuses", "silent", "answers lost"])
@pytest.mark.parametrize("hours", [0.1, 1, 12])
def test_without_the_dead_letter_queue_failures_are_eventually_concluded(fault: str, hours: float) -> None:
    tasks = [(0.5, True, False), (0.5, False, False), (0.5, True, True)]
    simulation = run_in_virtual_time(play(tasks, [(0.1, f"dead-letter queue {fault}"), (hours * 3_600, "no fault")]))
    assert simulation.momento.history(USER) == {"0": "failed", "1": "finished", "2": "failed"}
    assert set(simulation.momento.published) == {("0", "failed"), ("1", "finished"), ("2", "failed")}
    letters = Counter(Simulation.task_of(body) for body in [*simulation.dead_letters.bodies, *simulation.queue.moved])
    assert set(letters) == {"0", "2"}
    assert max(letters.values()) <= 12 + 40 * hours


async def slow_writes(tasks: int) -> Simulation:
    """A write takes longer than a user should wait, but succeeds."""
    simulation = Simulation()
    simulation.momento.write_seconds = 1.3
    for number in range(tasks):
        simulation.send(str(number), 0.2, fails=False, idempotent=False)
        await asyncio.sleep(1)
    await asyncio.sleep(30)
    await simulation.close()
    return simulation


def test_a_slow_cache_keeps_up() -> None:
    simulation = run_in_virtual_time(slow_writes(150))
    assert len(simulation.queue) == 0
    assert_nothing_lost(simulation, [(0.2, False, False)] * 150)


def test_a_task_that_is_interrupted_at_its_last_permitted_delivery_is_not_moved_by_sqs() -> None:
    last = 2 * SETTINGS.max_attempts
    simulation = run_in_virtual_time(play([(100.0, False, False)], [(0.1, "drain")], deliveries_before=last - 1))
    assert simulation.queue.moved == []
    assert simulation.momento.history(USER) == {"0": "failed"}
    assert set(simulation.momento.published) == {("0", "failed")}
    assert len(simulation.dead_letters) == 1


@pytest.mark.parametrize("end", ["drain", "kill"])
@pytest.mark.parametrize("seconds", [0.0, 50.0, 2_000.0])
def test_the_last_permitted_delivery_in_an_outage_is_concluded_when_it_is_over(end: str, seconds: float) -> None:
    last = 2 * SETTINGS.max_attempts
    tasks = [(0.5, True, False), (0.5, False, False)]
    schedule = [(0.1, "momento out"), (seconds, "no fault"), (30.0, end)]
    simulation = run_in_virtual_time(play(tasks, schedule, deliveries_before=last - 1))
    assert simulation.queue.moved == []
    assert simulation.momento.history(USER) == {"0": "failed", "1": "finished"}
    assert set(simulation.momento.published) == {("0", "failed"), ("1", "finished")}
    assert [Simulation.task_of(body) for body in simulation.dead_letters.bodies] == ["0"]


@pytest.mark.parametrize("end", ["drain", "leases lost"])
def test_a_task_that_is_interrupted_at_its_last_delivery_is_concluded_once(end: str) -> None:
    """At any moment: a finished task remains finished, and there is at most one dead letter."""
    last = 2 * SETTINGS.max_attempts
    for moment in MOMENTS:
        simulation = run_in_virtual_time(play(SHORT, [(moment, end)], deliveries_before=last - 1))
        statuses = simulation.momento.history(USER)
        finished = sum((process.finished for process in simulation.ended), Counter[str]())
        assert simulation.queue.moved == [], f"at {moment} s"
        assert set(statuses) == {"0", "1", "2"}, f"at {moment} s"
        assert set(simulation.momento.published) == set(statuses.items()), f"at {moment} s"
        assert {task_id for task_id, status in statuses.items() if status == "finished"} == set(finished)
        letters = Counter(Simulation.task_of(body) for body in simulation.dead_letters.bodies)
        assert letters == Counter(task_id for task_id, status in statuses.items() if status == "failed"), moment


MOMENTS = [moment * 0.001 for moment in range(90)]
"""Each call of the simulated queue and Momento takes milliseconds, so that these lie between any two of them."""
SHORT = [(0.02, False, False), (0.02, True, False), (0.02, False, True)]


@pytest.mark.parametrize("deliveries_before", [0, 1])
def test_a_process_that_is_killed_at_any_moment_of_a_task_loses_nothing(deliveries_before: int) -> None:
    for moment in MOMENTS:
        simulation = run_in_virtual_time(play(SHORT, [(moment, "kill")], deliveries_before))
        assert_nothing_lost(simulation, SHORT)


@pytest.mark.parametrize("deliveries_before", [0, 1])
@pytest.mark.parametrize("end", ["drain", "leases lost"])
def test_a_task_that_is_interrupted_at_any_moment_is_neither_finished_nor_dead_lettered_twice(
    end: str, deliveries_before: int
) -> None:
    """A drain and a lost lease leave time to store a result: it is not thrown away."""
    for moment in MOMENTS:
        simulation = run_in_virtual_time(play(SHORT, [(moment, end)], deliveries_before))
        assert_nothing_lost(simulation, SHORT)
        finished = sum((process.finished for process in simulation.ended), Counter[str]())
        assert finished == {"0": 1, "2": 1}, f"at {moment} s"
        assert [Simulation.task_of(body) for body in simulation.dead_letters.bodies] == ["1"], f"at {moment} s"


async def exceed_lease(block_seconds: float, hours: float) -> Simulation:
    """A handler that blocks the loop for longer than its lease and fails then, at each of its attempts."""
    simulation = Simulation()

    async def handle(_: Task) -> str:
        asyncio.get_running_loop()._now += block_seconds  # type: ignore[attr-defined]
        raise ValueError("too late")

    simulation.processes[0].handle = handle
    simulation.send("0", 0, fails=True, idempotent=False)
    await asyncio.sleep(hours * 3_600)
    await simulation.close()
    return simulation


def test_a_handler_that_outlasts_its_lease_and_fails_uses_up_its_attempts() -> None:
    simulation = run_in_virtual_time(exceed_lease(40, hours=1))
    assert simulation.momento.history(USER) == {"0": "failed"}
    assert len(simulation.dead_letters) == 1
    assert len(simulation.queue) == 0


async def concluded_elsewhere() -> Simulation:
    """A failure cannot be delivered here; another process finishes the task; then a copy of it comes here."""
    simulation = Simulation()
    simulation.momento.cache_out = simulation.momento.topics_out = True
    for task_id in ("0", "1"):
        simulation.send(task_id, 0, fails=True, idempotent=True)
    await asyncio.sleep(90)  # requeued, the results are kept, and nothing is received
    first = simulation.processes[0]
    simulation.momento.cache_out = simulation.momento.topics_out = False
    simulation.momento.dictionaries[f"history:{USER}"] = {
        "0": b'{"taskId":"0","status":"finished","message":"Finished task: 0","time":1800000050000}'
    }
    simulation.send("0", 0, fails=True, idempotent=True)
    async with asyncio.timeout(FAR_SECONDS):
        while len(simulation.queue):  # noqa: ASYNC110 — the simulation has no events
            await asyncio.sleep(10)
    assert simulation.processes == [first]
    await simulation.close()
    return simulation


def test_a_kept_failure_does_not_replace_what_another_process_has_finished() -> None:
    simulation = run_in_virtual_time(concluded_elsewhere())
    assert simulation.momento.history(USER) == {"0": "finished", "1": "failed"}
