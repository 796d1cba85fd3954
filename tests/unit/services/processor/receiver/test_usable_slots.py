"""How many slots can be used with the present mix of task types."""

from typing import Any

from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.usable_slots import MIX_SECONDS, UsableSlots
from tests.support.clock import ManualClock


def run(slots: FairSlots[Any], **counts: int) -> None:
    for task_type, count in counts.items():
        for _ in range(count):
            slots.add("user", task_type, task_type)
    while slots.start_next() is not None:
        pass


def test_all_slots_are_usable_without_limits() -> None:
    slots = FairSlots[Any](20, 1.0)
    run(slots, report=5)
    assert UsableSlots(slots, {}).estimate() == 20


def test_all_slots_are_usable_before_anything_has_run() -> None:
    assert UsableSlots(FairSlots[Any](20, 1.0, {"report": 4}), {"report": 4}).estimate() == 20


def test_a_limited_type_that_is_half_of_the_work_halves_nothing_but_what_it_blocks() -> None:
    clock = ManualClock()
    slots = FairSlots[Any](20, 1.0, {"report": 4})
    usable = UsableSlots(slots, {"report": 4}, clock=clock)
    run(slots, report=5, mail=4)
    clock.now += MIX_SECONDS
    assert usable.estimate() == 8


def test_only_tasks_of_a_limited_type_leave_its_limit() -> None:
    clock = ManualClock()
    slots = FairSlots[Any](20, 1.0, {"report": 4})
    usable = UsableSlots(slots, {"report": 4}, clock=clock)
    run(slots, report=10)
    clock.now += 1
    assert usable.estimate() == 4


def test_an_earlier_mix_is_forgotten() -> None:
    clock = ManualClock()
    slots = FairSlots[Any](20, 1.0, {"report": 4})
    usable = UsableSlots(slots, {"report": 4}, clock=clock)
    run(slots, report=4)
    clock.now += MIX_SECONDS
    assert usable.estimate() == 4
    for _ in range(4):
        slots.release("user", "report")
    run(slots, mail=10)
    clock.now += 10 * MIX_SECONDS
    assert usable.estimate() == 20


def test_a_limited_type_leaves_all_slots_while_it_has_not_reached_its_limit() -> None:
    clock = ManualClock()
    slots = FairSlots[Any](20, 1.0, {"report": 4})
    usable = UsableSlots(slots, {"report": 4}, clock=clock)
    run(slots, report=3)
    clock.now += MIX_SECONDS
    assert usable.estimate() == 20


def test_an_idle_replica_can_use_all_slots() -> None:
    clock = ManualClock()
    slots = FairSlots[Any](20, 1.0, {"steps": 1})
    usable = UsableSlots(slots, {"steps": 1}, clock=clock)
    run(slots, steps=1)
    clock.now += 1
    assert usable.estimate() == 1
    slots.release("user", "steps")
    clock.now += 1
    assert usable.estimate() == 20
