"""The states of a task: whatever happens, it has one final state, and its user is notified of that one.

Deliveries, retries, cancels, delays, expiries, outages, drains and kills come in any order.
docs/explanation/guarantees.md has the guarantees.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.momento.cancel_requests import NAME
from tests.support.processor.simulation import FAR_SECONDS, SETTINGS, USER, Simulation
from tests.support.virtual_time import run_in_virtual_time


@dataclass(frozen=True)
class Kind:
    """What a task does, and when it is to be cancelled or expires."""

    seconds: float = 0.5
    fails: bool = False
    idempotent: bool = False
    delay_seconds: int = 0
    expires_after: float | None = None
    cancel_after: float | None = None
    type: str = "default"


@dataclass
class Played:
    """What a simulation has seen."""

    simulation: Simulation
    promised: set[str]
    """Tasks whose cancel was accepted."""

    @property
    def final(self) -> dict[str, str]:
        return self.simulation.momento.history(USER)

    @property
    def started(self) -> Counter[str]:
        return sum((process.started for process in self.simulation.ended), Counter[str]())

    @property
    def finished(self) -> Counter[str]:
        return sum((process.finished for process in self.simulation.ended), Counter[str]())


async def play(
    kinds: Sequence[Kind],
    schedule: Sequence[tuple[float, str]] = (),
    *,
    processes: int = 1,
    deliveries_before: int = 0,
) -> Played:
    """Send the tasks, apply the schedule and the cancels, then remove all faults and wait until the queue is empty.

    :param deliveries_before: how often each message has already been received and requeued.
    """
    simulation = Simulation(processes)
    simulation.queue.deliveries_before = deliveries_before
    promised: set[str] = set()

    async def cancel(task_id: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        if await simulation.cancel(task_id):
            promised.add(task_id)

    cancels = []
    for number, kind in enumerate(kinds):
        expires_at = None if kind.expires_after is None else int((time.time() + kind.expires_after) * 1000)
        simulation.send(
            str(number),
            kind.seconds,
            fails=kind.fails,
            idempotent=kind.idempotent,
            delay_seconds=kind.delay_seconds,
            expires_at_ms=expires_at,
            task_type=kind.type,
        )
        if kind.cancel_after is not None:
            cancels.append(asyncio.create_task(cancel(str(number), kind.cancel_after)))
    for pause_seconds, event in schedule:
        await asyncio.sleep(pause_seconds)
        await simulation.event(event)
    await simulation.event("no fault")
    await asyncio.gather(*cancels)
    async with asyncio.timeout(FAR_SECONDS):
        while len(simulation.queue):  # noqa: ASYNC110 — the simulation has no events
            await asyncio.sleep(10)
    await asyncio.sleep(5)  # the requests of concluded tasks are removed
    await simulation.close()
    return Played(simulation, promised)


def assert_states_are_consistent(played: Played, kinds: Sequence[Kind]) -> None:
    """Each task has one final state: in the history, in what was published, and in the dead-letter queue.

    Not one that is cancelled after a process has ended without having stored what its handler did.
    """
    simulation = played.simulation
    unknown = {
        str(number)
        for number, kind in enumerate(kinds)
        if kind.cancel_after is not None and (simulation.may_have_lost_results or simulation.kills)
    }
    assert simulation.queue.moved == []
    assert set(played.final) == {str(number) for number in range(len(kinds))}
    for number, kind in enumerate(kinds):
        task_id, status = str(number), played.final[str(number)]
        assert set(simulation.momento.stored[task_id]) == {status}, "a final state was replaced"
        published = {one for task, one in simulation.momento.published if task == task_id}
        assert published == {status} or (task_id in unknown and status in published)
        allowed = {"failed" if kind.fails else "finished"}
        if simulation.kills:
            allowed.add("failed")  # as a poison pill
        if kind.cancel_after is not None:
            allowed.add("cancelled")
        if kind.expires_after is not None:
            allowed.add("expired")
        assert status in allowed
        if status in {"cancelled", "expired"} and not simulation.kills and task_id not in unknown:
            assert played.finished[task_id] == 0, "the user was notified that it did not finish"
    failed = {task for task, status in played.final.items() if status == "failed"}
    letters = {simulation.task_of(body) for body in simulation.dead_letters.bodies}
    assert failed <= letters <= failed | unknown


EVENTS = (
    *("no fault", "topics out", "cache out", "momento out", "momento answers lost"),
    *(
        "queue refuses",
        "queue silent",
        "queue answers lost",
        "all out",
        "drain",
        "kill",
        "leases lost",
        "second process",
    ),
)
MOMENTS = st.sampled_from([0.0, 0.004, 0.3, 1.0, 2.5, 10.0, 60.0, 300.0])
KINDS = st.builds(
    Kind,
    seconds=st.sampled_from([0.0, 0.5, 4.0, 100.0]),
    fails=st.booleans(),
    idempotent=st.booleans(),
    delay_seconds=st.sampled_from([0, 0, 5, 900]),
    expires_after=st.none() | st.sampled_from([0.001, 3.0, 905.0]),
    cancel_after=st.none() | MOMENTS,
    type=st.sampled_from(["default", "limited"]),
)
SCHEDULES = st.lists(st.tuples(MOMENTS, st.sampled_from(EVENTS)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(KINDS, min_size=1, max_size=6), SCHEDULES, st.integers(1, 4))
def test_any_order_of_events_leads_to_one_final_state_of_each_task(
    kinds: Sequence[Kind], schedule: Sequence[tuple[float, str]], processes: int
) -> None:
    assert_states_are_consistent(run_in_virtual_time(play(kinds, schedule, processes=processes)), kinds)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("idempotent", [False, True])
def test_a_cancel_at_any_moment_of_a_task_has_one_winner(*, fails: bool, idempotent: bool) -> None:
    """Cancel requests are read once a second: a task of 20 ms is shifted through such a read."""
    for shift_ms in range(0, 120, 3):
        played = run_in_virtual_time(shifted(0.9 + shift_ms / 1_000, fails=fails, idempotent=idempotent))
        assert_states_are_consistent(played, [Kind(fails=fails, cancel_after=0)])


async def shifted(start_at: float, *, fails: bool, idempotent: bool) -> Played:
    """A cancel request is stored before the task arrives, which happens shortly before or after it is read."""
    simulation = Simulation()
    await asyncio.sleep(start_at)
    simulation.send("0", 0.02, fails=fails, idempotent=idempotent)
    is_promised = await simulation.cancel("0")
    async with asyncio.timeout(FAR_SECONDS):
        while len(simulation.queue):  # noqa: ASYNC110 — the simulation has no events
            await asyncio.sleep(1)
    await asyncio.sleep(5)
    await simulation.close()
    assert simulation.momento.dictionaries.get(NAME, {}) == {}
    return Played(simulation, {"0"} if is_promised else set())


def test_a_running_task_is_cancelled_within_two_seconds() -> None:
    async def scenario() -> tuple[Played, float]:
        simulation = Simulation()
        simulation.send("0", 600.0, fails=False, idempotent=False)
        await asyncio.sleep(5)
        assert await simulation.cancel("0")
        asked = time.monotonic()
        while not simulation.momento.history(USER):  # noqa: ASYNC110 — the simulation has no events
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - asked
        await asyncio.sleep(5)
        await simulation.close()
        return Played(simulation, {"0"}), seconds

    played, seconds = run_in_virtual_time(scenario())
    assert seconds < 2
    assert played.final == {"0": "cancelled"}
    assert_states_are_consistent(played, [Kind(seconds=600.0, cancel_after=5.0)])
    assert len(played.simulation.dead_letters) == 0
    assert played.simulation.momento.dictionaries[NAME] == {}


def test_a_task_that_is_cancelled_while_it_is_queued_does_not_run() -> None:
    kinds = [Kind(delay_seconds=60, cancel_after=5.0), Kind()]
    played = run_in_virtual_time(play(kinds, [(70.0, "no fault")]))
    assert played.final == {"0": "cancelled", "1": "finished"}
    assert played.started["0"] == 0
    assert_states_are_consistent(played, kinds)
    assert played.simulation.momento.dictionaries[NAME] == {}


def test_a_task_that_is_cancelled_between_two_attempts_is_not_tried_again() -> None:
    """With retries: a handler that fails is tried again unless its task is cancelled meanwhile."""

    async def scenario() -> Played:
        simulation = Simulation()
        attempts = 0

        async def handle(_: object) -> str:
            nonlocal attempts
            attempts += 1
            raise OSError("not yet")

        for process in simulation.processes:
            process.handle = handle
        simulation.send("0", 0, fails=False, idempotent=False)
        async with asyncio.timeout(FAR_SECONDS):
            while not attempts:  # noqa: ASYNC110 — the simulation has no events
                await asyncio.sleep(0.01)
            assert await simulation.cancel("0")
            while len(simulation.queue):  # noqa: ASYNC110 — the simulation has no events
                await asyncio.sleep(1)
        assert attempts < SETTINGS.max_attempts
        await asyncio.sleep(5)
        await simulation.close()
        return Played(simulation, {"0"})

    played = run_in_virtual_time(scenario())
    assert played.final == {"0": "cancelled"}
    assert len(played.simulation.dead_letters) == 0


@pytest.mark.parametrize("end", ["drain", "kill", "leases lost"])
def test_a_promised_cancel_survives_the_end_of_its_process(end: str) -> None:
    kinds = [Kind(seconds=100.0, cancel_after=4.9)]
    played = run_in_virtual_time(play(kinds, [(5.0, end)]))
    assert played.promised == {"0"}
    assert played.final == {"0": "cancelled"}
    assert_states_are_consistent(played, kinds)


@pytest.mark.parametrize("out", ["cache out", "momento out", "momento answers lost"])
def test_a_cancel_in_an_outage_is_not_promised_or_kept(out: str) -> None:
    kinds = [Kind(seconds=600.0, cancel_after=10.0), Kind(seconds=600.0, cancel_after=1.0)]
    played = run_in_virtual_time(play(kinds, [(5.0, out), (30.0, "no fault")]))
    assert played.promised == {"1"}
    assert played.final["1"] == "cancelled"
    assert played.final["0"] in ({"finished", "cancelled"} if out == "momento answers lost" else {"finished"})
    assert_states_are_consistent(played, kinds)


def test_a_task_that_was_not_started_in_time_expires_without_a_run() -> None:
    kinds = [Kind(delay_seconds=5, expires_after=4.0), Kind(delay_seconds=5, expires_after=6.0)]
    played = run_in_virtual_time(play(kinds, [(10.0, "no fault")]))
    assert played.final == {"0": "expired", "1": "finished"}
    assert played.started["0"] == 0
    assert len(played.simulation.dead_letters) == 0
    assert_states_are_consistent(played, kinds)


def test_a_cancelled_task_that_is_interrupted_at_its_last_delivery_is_not_dead_lettered() -> None:
    kinds = [Kind(seconds=100.0, cancel_after=4.99)]
    last = 2 * SETTINGS.max_attempts
    played = run_in_virtual_time(play(kinds, [(5.999, "drain")], deliveries_before=last - 1))
    assert played.promised == {"0"}
    assert played.final == {"0": "cancelled"}
    assert len(played.simulation.dead_letters) == 0


def test_a_task_that_has_started_in_time_does_not_expire_between_its_attempts() -> None:
    kinds = [Kind(fails=False, seconds=100.0, expires_after=10.0)]
    played = run_in_virtual_time(play(kinds, [(30.0, "drain")]))
    assert played.final == {"0": "finished"}
    assert_states_are_consistent(played, kinds)


def test_a_type_at_its_limit_does_not_delay_others() -> None:
    kinds = [Kind(seconds=100.0, type="limited")] * 5 + [Kind()] * 5

    async def scenario() -> Played:
        simulation = Simulation()
        for number, kind in enumerate(kinds):
            simulation.send(str(number), kind.seconds, fails=False, idempotent=False, task_type=kind.type)
        await asyncio.sleep(30)
        assert set(simulation.momento.history(USER)) == {"5", "6", "7", "8", "9"}
        async with asyncio.timeout(FAR_SECONDS):
            while len(simulation.queue):  # noqa: ASYNC110 — the simulation has no events
                await asyncio.sleep(10)
        await simulation.close()
        return Played(simulation, set())

    played = run_in_virtual_time(scenario())
    assert set(played.final.values()) == {"finished"}
    assert_states_are_consistent(played, kinds)


def test_a_task_of_an_unknown_type_fails_and_can_be_redriven() -> None:
    kinds = [Kind(fails=True, type="new"), Kind()]
    played = run_in_virtual_time(play(kinds))
    assert played.final == {"0": "failed", "1": "finished"}
    assert played.started["0"] == 0
    assert_states_are_consistent(played, kinds)
