"""Properties of the scaling rule for any stage."""

import math
import random
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.stabilise import BUSY_STABILISATION_PERIODS
from k8s.operator.policy.types import (
    Decision,
    Memory,
    Observed,
    Policy,
    ProcessorFault,
    Recommendation,
    ScalingReason,
    Source,
)
from tests.support.operator.observations import seen, spread

NOW = 10_000.0
seconds = st.floats(0.01, 900.0)
FAULTS: dict[ScalingReason, dict[str, Any]] = {
    ScalingReason.CRASH_LOOP: {"crash_looping": True},
    ScalingReason.CANNOT_START: {"cannot_start": "ImagePullBackOff"},
    ScalingReason.RECEIVING_PAUSED: {"cannot_receive": "key refused"},
    ScalingReason.TASKS_FAILING: {"all_tasks_failed": True},
}
NO_FAULT: dict[str, Any] = {"crash_looping": False, "cannot_start": "", "cannot_receive": "", "all_tasks_failed": False}


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    minimum = draw(st.integers(0, 10))
    return Policy(
        wait_objective_seconds=draw(st.floats(0.5, 600.0)),
        min_replicas=minimum,
        max_replicas=minimum + draw(st.integers(0, 90)),
        slots_per_replica=draw(st.sampled_from([1, 2, 10, 20, 200])),
        pod_ready_seconds=draw(st.floats(0.0, 60.0)),
        scale_in_stabilisation_seconds=draw(st.floats(0.0, 600.0)),
    )


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    ages = sorted(draw(st.lists(st.floats(0.0, 700.0), max_size=5)), reverse=True)
    counts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(ages), max_size=len(ages))), reverse=True)
    past = tuple(Recommendation(NOW - age, count) for age, count in zip(ages, counts, strict=True))
    faults = st.builds(ProcessorFault, st.sampled_from(sorted(FAULTS)), st.floats(NOW - 700, NOW))
    return Memory(recommendations=past, task_seconds=draw(st.none() | seconds), fault=draw(st.none() | faults))


@st.composite
def stages(draw: st.DrawFn) -> Observed:
    desired = draw(st.integers(0, 100))
    ready = draw(st.integers(0, desired))
    in_flight = draw(st.integers(0, 3_000))
    return Observed(
        backlog=draw(st.integers(0, 100_000)),
        in_flight=in_flight,
        arrivals_per_second=draw(st.floats(0.0, 1_000.0)),
        task_seconds=draw(st.none() | seconds),
        wait_seconds=draw(st.none() | st.floats(0.0, 3_600.0)),
        replicas_desired=desired,
        replicas_ready=ready,
        tasks_by_pod=spread(draw(st.integers(0, in_flight)), draw(st.integers(0, ready))),
        busy_unready=draw(st.integers(0, desired - ready)),
        crash_looping=draw(st.booleans()),
        cannot_start=draw(st.sampled_from(["", "ImagePullBackOff"])),
        cannot_receive=draw(st.sampled_from(["", "key refused"])),
        ready_not_receiving=draw(st.integers(0, ready)),
        working_share=draw(st.sampled_from([1.0, 0.9, 0.5, 0.1])),
        max_surge=draw(st.sampled_from(["0", "1", "25%"])),
        all_tasks_failed=draw(st.booleans()),
        any_task_finished=draw(st.booleans()),
        tasks_outlast_drain=draw(st.none() | st.booleans()),
        unreadable=draw(st.dictionaries(st.sampled_from(Source), st.just("no answer"), max_size=2)),
        memory=draw(memories()),
    )


@settings(deadline=None, max_examples=40)
@given(stages(), policies())
def test_the_decision_is_within_bounds_and_says_why(observed: Observed, policy: Policy) -> None:
    decision = desired_replicas(observed, policy, NOW)
    assert policy.min_replicas <= decision.replicas <= policy.max_replicas
    assert len(decision.message) > 10
    assert decision.blocked == (decision.reason in {ScalingReason.UNREADABLE, *FAULTS})


@settings(deadline=None, max_examples=40)
@given(stages(), policies(), st.integers(1, 10_000), st.floats(0.0, 100.0))
def test_more_work_never_gets_fewer_replicas(observed: Observed, policy: Policy, more: int, faster: float) -> None:
    """kedacore/keda#5488 asks for scaling by the rate, before the queue has grown."""

    def replicas(stage: Observed) -> int:
        return desired_replicas(stage, policy, NOW).replicas

    before = replicas(observed)
    assert replicas(replace(observed, backlog=(observed.backlog or 0) + more)) >= before
    assert replicas(replace(observed, arrivals_per_second=(observed.arrivals_per_second or 0.0) + faster)) >= before


@settings(deadline=None, max_examples=40)
@given(stages(), policies(), st.floats(0.0, 600.0))
def test_a_longer_wait_never_gets_fewer_replicas(observed: Observed, policy: Policy, longer: float) -> None:
    """kedacore/keda#5754 asks for scaling by the age of the oldest message."""
    late = replace(observed, wait_seconds=(observed.wait_seconds or 0.0) + longer)
    assert desired_replicas(late, policy, NOW).replicas >= desired_replicas(observed, policy, NOW).replicas


@settings(deadline=None, max_examples=40)
@given(stages(), policies())
def test_scale_in_never_goes_below_what_is_in_flight(observed: Observed, policy: Policy) -> None:
    """kedacore/keda#1663 #6719 #2901: there, a scale-in kills busy pods."""
    observed = replace(observed, **NO_FAULT, memory=replace(observed.memory, fault=None))
    packed = math.ceil((observed.in_flight or 0) / policy.slots_per_replica)
    current = observed.replicas_desired or 0
    assert desired_replicas(observed, policy, NOW).replicas >= min(current, packed, policy.max_replicas)


@settings(deadline=None, max_examples=40)
@given(stages(), policies())
def test_no_replica_is_removed_while_a_busy_one_would_be_removed_first(observed: Observed, policy: Policy) -> None:
    busy = replace(observed, busy_unready=1)
    assert desired_replicas(busy, policy, NOW).replicas >= min(observed.replicas_desired or 0, policy.max_replicas)


@settings(deadline=None, max_examples=40)
@given(stages(), policies(), st.sampled_from(Source))
def test_an_unreadable_source_removes_no_replica(observed: Observed, policy: Policy, source: Source) -> None:
    unreadable = replace(observed, unreadable={source: "no answer"})
    decision = desired_replicas(unreadable, policy, NOW)
    current = min(max(observed.replicas_desired or 0, policy.min_replicas), policy.max_replicas)
    assert decision.replicas >= current
    if source in (Source.QUEUE, Source.KUBERNETES):
        assert decision.blocked == (current == observed.replicas_desired)
        assert decision.replicas == current


@settings(deadline=None, max_examples=40)
@given(stages(), policies(), st.sampled_from(Source))
def test_an_unreadable_source_is_in_the_message(observed: Observed, policy: Policy, source: Source) -> None:
    decision = desired_replicas(
        replace(
            observed,
            unreadable={source: "it timed out"},
            **NO_FAULT,
            memory=replace(observed.memory, fault=None),
        ),
        policy,
        NOW,
    )
    assert "it timed out" in decision.message


@settings(deadline=None, max_examples=40)
@given(stages(), policies())
def test_a_faulty_processor_is_not_scaled_out_beyond_one(observed: Observed, policy: Policy) -> None:
    for fault in FAULTS.values():
        decision = desired_replicas(replace(observed, **fault), policy, NOW)
        assert decision.replicas <= max(1, observed.replicas_desired or 0, policy.min_replicas)


@settings(deadline=None, max_examples=40)
@given(stages(), policies())
def test_a_backlog_gets_at_most_one_slot_per_message(observed: Observed, policy: Policy) -> None:
    only_backlog = replace(
        observed, arrivals_per_second=0.0, replicas_desired=0, replicas_ready=0, working_share=1.0, memory=Memory()
    )
    assume(not observed.unreadable)
    slots = (observed.backlog or 0) / policy.slots_per_replica
    limit = max(math.ceil(slots), policy.min_replicas)
    assert desired_replicas(only_backlog, policy, NOW).replicas <= limit


@settings(deadline=None, max_examples=40)
@given(stages(), policies(), st.lists(st.tuples(st.floats(0.1, 100.0), st.integers(0, 5_000)), max_size=30))
def test_the_memory_stays_small(observed: Observed, policy: Policy, polls: list[tuple[float, int]]) -> None:
    now, memory = NOW, Memory()
    for pause, backlog in polls:
        now += pause
        decision = desired_replicas(replace(observed, backlog=backlog, memory=memory), policy, now)
        memory = decision.memory
        past = memory.recommendations
        assert [one.replicas for one in past] == sorted((one.replicas for one in past), reverse=True)
        assert len(past) == len({one.replicas for one in past})
        assert all(one.at >= now - BUSY_STABILISATION_PERIODS * policy.scale_in_stabilisation_seconds for one in past)


class PolledStage:
    """A stage that is polled every two seconds and scaled at once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = NOW
        self.decision = Decision(replicas=0, reason=ScalingReason.STEADY, message="")

    def poll(self, **values: Any) -> int:
        self.now += 2.0
        replicas = self.decision.replicas
        observed = seen(replicas_desired=replicas, memory=self.decision.memory, **values)
        self.decision = desired_replicas(observed, self.policy, self.now)
        return self.decision.replicas - replicas


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.floats(0.5, 40.0), st.floats(0.5, 20.0))
def test_noise_within_the_tolerance_does_not_flap(seed: int, per_second: float, task_seconds: float) -> None:
    """Half an hour of a steady stream with noise: the first poll may see too few arrivals, so there is one scale-out at
    most after it."""
    rng = random.Random(seed)
    stage = PolledStage(Policy(max_replicas=200))

    def noisy(value: float) -> float:
        return value * rng.uniform(0.96, 1.04)  # of arrivals times task time: 8 %

    changes = []
    for _ in range(900):
        load = noisy(per_second) * task_seconds
        changes.append(
            stage.poll(in_flight=round(load), arrivals_per_second=noisy(per_second), task_seconds=noisy(task_seconds))
        )
    assert sum(change > 0 for change in changes[1:]) <= 1, changes


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_no_replica_is_removed_within_the_stabilisation_time(seed: int) -> None:
    """Whatever the load, the stabilisation time lies between a scale-out and the next scale-in."""
    rng = random.Random(seed)
    policy = Policy(max_replicas=30)
    stage = PolledStage(policy)
    grown_at = -math.inf
    for _ in range(300):
        change = stage.poll(
            backlog=rng.choice([0, 0, 0, 1, 50, 400]),
            in_flight=rng.choice([0, 5, 90]),
            arrivals_per_second=rng.random(),
        )
        if change > 0:
            grown_at = stage.now
        elif change < 0:
            assert stage.now - grown_at >= policy.scale_in_stabilisation_seconds
