"""The scaling rule by cases: ten slots per replica, five seconds per task, an objective of ten seconds."""

from dataclasses import replace
from typing import Any

import pytest

from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Decision, Memory, Observed, Policy, Recommendation, ScalingReason, Source
from tests.support.operator.observations import packed, seen

POLICY = Policy(max_replicas=50)
NOW = 10_000.0


def needed(at: float, replicas: int) -> Memory:
    return Memory(recommendations=(Recommendation(at, replicas),))


NEEDED_LONG_AGO = needed(NOW - 61, 20)
"""20 replicas were needed, but not within the stabilisation time."""


def fewer_needed(replicas: int) -> Memory:
    return Memory(recommendations=(*NEEDED_LONG_AGO.recommendations, Recommendation(NOW - 59, replicas)))


def outlasted(at: float) -> Memory:
    return replace(needed(NOW - 59, 1), outlasted_drain_at=at)


CASES = {
    "no tasks and no replicas": (seen(), 0, ScalingReason.STEADY),
    "the first message": (seen(backlog=1), 1, ScalingReason.FROM_ZERO),
    "an accepted task that the queue does not show yet": (seen(arrivals_per_second=0.05), 1, ScalingReason.FROM_ZERO),
    # A new pod has 10 - 4 s, so each slot starts 1.2 tasks: 240 / 12.
    "many messages at once": (seen(backlog=240), 20, ScalingReason.FROM_ZERO),
    "more messages than the maximum can process": (seen(backlog=2_000), 50, ScalingReason.BOUNDS),
    "no measured task time": (seen(backlog=240, task_seconds=None), 20, ScalingReason.FROM_ZERO),
    "tasks far shorter than the objective": (seen(backlog=240, task_seconds=0.1), 1, ScalingReason.FROM_ZERO),
    "tasks far longer than the objective: a slot for each": (
        seen(backlog=240, task_seconds=600),
        24,
        ScalingReason.FROM_ZERO,
    ),
    # 7 per second of 5 s occupy 35 slots, which is 0.7 of 50.
    "arrivals that need more slots": (
        seen(arrivals_per_second=7.0, in_flight=30, replicas_desired=3),
        5,
        ScalingReason.ARRIVAL_RATE,
    ),
    "arrivals a little above the utilisation": (
        seen(arrivals_per_second=4.4, in_flight=22, replicas_desired=3),
        3,
        ScalingReason.STEADY,
    ),
    # 30 busy slots start 60 within 10 s; the 24 others need two replicas.
    "a backlog that the busy slots cannot start in time": (
        seen(backlog=84, in_flight=30, arrivals_per_second=4.0, replicas_desired=3),
        5,
        ScalingReason.BACKLOG,
    ),
    "a backlog that the busy slots start in time": (
        seen(backlog=60, in_flight=30, arrivals_per_second=4.0, replicas_desired=3),
        3,
        ScalingReason.STEADY,
    ),
    "a wait beyond the objective: a slot for each message": (
        seen(backlog=60, in_flight=30, arrivals_per_second=4.0, replicas_desired=3, wait_seconds=11.0),
        9,
        ScalingReason.BACKLOG,
    ),
    "pods that are starting count": (
        seen(backlog=240, replicas_desired=20, replicas_ready=0),
        20,
        ScalingReason.STEADY,
    ),
    "fewer are enough, but not for the stabilisation time": (seen(replicas_desired=8), 8, ScalingReason.STABILISING),
    "fewer have been enough for the stabilisation time": (
        seen(arrivals_per_second=1.0, replicas_desired=8, memory=fewer_needed(1)),
        1,
        ScalingReason.FEWER_NEEDED,
    ),
    "no tasks for the stabilisation time": (
        seen(replicas_desired=8, memory=fewer_needed(0)),
        0,
        ScalingReason.FEWER_NEEDED,
    ),
    "only idle replicas are removed": (
        seen(in_flight=25, tasks_by_pod=packed(25, 8, POLICY), replicas_desired=8, memory=fewer_needed(1)),
        3,
        ScalingReason.FEWER_NEEDED,
    ),
    "every replica has a task": (
        seen(in_flight=8, replicas_desired=8, memory=fewer_needed(1)),
        8,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "busy for the longest time, with tasks that end within the drain": (
        seen(in_flight=24, replicas_desired=8, tasks_outlast_drain=False, memory=needed(NOW - 59, 1)),
        3,
        ScalingReason.FEWER_NEEDED,
    ),
    "busy for the longest time, with tasks that a drain may interrupt": (
        seen(in_flight=24, replicas_desired=8, tasks_outlast_drain=True, memory=needed(NOW - 59, 1)),
        8,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "busy for the longest time, and no task has ended": (
        seen(in_flight=24, replicas_desired=8, memory=needed(NOW - 59, 1)),
        8,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "busy for the longest time, with tasks that outlasted a drain half an hour ago": (
        seen(in_flight=24, replicas_desired=8, tasks_outlast_drain=False, memory=outlasted(NOW - 1_800)),
        8,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "a busy pod that is not ready would be removed first": (
        seen(
            in_flight=5,
            tasks_by_pod={"a": 5, "b": 0, "c": 0},
            busy_unready=1,
            replicas_desired=3,
            replicas_ready=2,
            memory=fewer_needed(1),
        ),
        3,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "a pod that did not answer may be busy": (
        seen(in_flight=2, tasks_by_pod={"a": 1}, replicas_desired=2, memory=fewer_needed(1)),
        2,
        ScalingReason.TASKS_IN_FLIGHT,
    ),
    "messages in flight elsewhere add no replica": (seen(in_flight=100), 0, ScalingReason.STEADY),
}


@pytest.mark.parametrize(("observed", "replicas", "reason"), CASES.values(), ids=CASES)
def test_a_stage_gets_the_fewest_replicas_that_keep_the_objective(
    observed: Observed, replicas: int, reason: ScalingReason
) -> None:
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.reason) == (replicas, reason), decision.message
    assert not decision.blocked


def test_bounds_hold_in_both_directions() -> None:
    policy = replace(POLICY, min_replicas=2, max_replicas=4)
    least = desired_replicas(seen(), policy, NOW)
    assert (least.replicas, least.reason) == (2, ScalingReason.BOUNDS)
    assert "minReplicas" in least.message
    most = desired_replicas(seen(backlog=1_000, replicas_desired=4), policy, NOW)
    assert (most.replicas, most.reason) == (4, ScalingReason.BOUNDS)
    assert "maxReplicas" in most.message


def test_a_lowered_maximum_applies_at_once() -> None:
    decision = desired_replicas(seen(replicas_desired=30, in_flight=300), replace(POLICY, max_replicas=10), NOW)
    assert decision.replicas == 10


def test_single_slots_need_free_ones_to_keep_the_wait_short() -> None:
    """With one slot, 0.7 of it occupied, 38 % would wait longer than 10 s (Erlang C); with two 1 %."""
    policy = replace(POLICY, slots_per_replica=1)
    assert desired_replicas(seen(arrivals_per_second=0.14), policy, NOW).replicas == 2


@pytest.mark.parametrize("source", Source)
def test_nothing_changes_when_a_source_cannot_be_read(source: Source) -> None:
    observed = seen(replicas_desired=7, unreadable={source: "throttled"}, memory=fewer_needed(0))
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.blocked, decision.reason) == (7, True, ScalingReason.UNREADABLE)
    assert "throttled" in decision.message


@pytest.mark.parametrize("source", [Source.INGEST, Source.PROCESSOR])
def test_a_stage_at_zero_is_scaled_out_although_a_pod_cannot_be_read(source: Source) -> None:
    observed = seen(backlog=1, arrivals_per_second=None, task_seconds=None, unreadable={source: "timed out"})
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.blocked) == (1, False)
    assert "timed out" in decision.message


def test_the_depth_of_an_unreadable_queue_is_ignored() -> None:
    observed = seen(backlog=500, replicas_desired=1, unreadable={Source.QUEUE: "stale"})
    assert desired_replicas(observed, POLICY, NOW).replicas == 1


def test_unreadable_replicas_are_those_that_were_needed_last() -> None:
    observed = seen(replicas_desired=None, unreadable={Source.KUBERNETES: "no API server"}, memory=needed(NOW - 5, 6))
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.blocked) == (6, True)


def test_an_outage_is_followed_by_a_full_stabilisation_time() -> None:
    unreadable = seen(replicas_desired=7, unreadable={Source.QUEUE: "throttled"}, memory=fewer_needed(0))
    memory = desired_replicas(unreadable, POLICY, NOW).memory
    for after, replicas in ((2.0, 7), (59.0, 7), (61.0, 0)):
        decision = desired_replicas(seen(replicas_desired=7, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_a_new_operator_removes_no_replica_before_the_stabilisation_time() -> None:
    memory = Memory()
    for after, replicas in ((0.0, 7), (58.0, 7), (61.0, 0)):
        decision = desired_replicas(seen(replicas_desired=7, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_every_sparse_message_keeps_its_replica_for_a_full_stabilisation_time() -> None:
    """kedacore/keda#7327: there, sparse messages meet a cold start each time."""
    memory, replicas = Memory(), 0
    for now in range(0, 300, 5):
        observed = seen(backlog=int(now in {0, 50, 100, 150, 200}), replicas_desired=replicas, memory=memory)
        decision = desired_replicas(observed, POLICY, NOW + now)
        memory, replicas = decision.memory, decision.replicas
        assert replicas == (now < 200 + POLICY.scale_in_stabilisation_seconds), now


def test_after_a_long_gap_the_current_replicas_count_as_needed() -> None:
    observed = seen(replicas_desired=7, memory=needed(NOW - 200, 0))
    assert desired_replicas(observed, POLICY, NOW).replicas == 7


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"crash_looping": True}, ScalingReason.CRASH_LOOP),
        ({"cannot_start": "ImagePullBackOff"}, ScalingReason.CANNOT_START),
        ({"cannot_receive": "key refused", "ready_not_receiving": 2}, ScalingReason.RECEIVING_PAUSED),
        ({"all_tasks_failed": True}, ScalingReason.TASKS_FAILING),
    ],
)
class TestAFaultyProcessor:
    def test_loses_the_replicas_it_got_before_the_fault_showed(
        self, broken: dict[str, bool], reason: ScalingReason
    ) -> None:
        observed = seen(backlog=5_000, replicas_desired=20, replicas_ready=0, **broken)
        decision = desired_replicas(observed, POLICY, NOW)
        assert (decision.replicas, decision.blocked, decision.reason) == (1, True, reason)
        assert "blocked at 1 replica, 417 needed" in decision.message

    def test_keeps_the_replicas_that_have_tasks(self, broken: dict[str, bool], reason: ScalingReason) -> None:
        by_pod = {"a": 3, "b": 1, "c": 0}
        observed = seen(backlog=5_000, replicas_desired=6, replicas_ready=2, tasks_by_pod=by_pod, **broken)
        assert desired_replicas(observed, POLICY, NOW).replicas == 2
        unready = replace(observed, busy_unready=1)
        assert desired_replicas(unready, POLICY, NOW).replicas == 6

    def test_gets_one_replica_to_find_out_when_the_fault_is_over(
        self, broken: dict[str, bool], reason: ScalingReason
    ) -> None:
        assert desired_replicas(seen(backlog=5_000, **broken), POLICY, NOW).replicas == 1

    def test_stays_faulty_while_nothing_shows_otherwise(self, broken: dict[str, bool], reason: ScalingReason) -> None:
        memory = desired_replicas(seen(backlog=5_000, **broken), POLICY, NOW).memory
        for after in (10.0, 600.0, 3_600.0):
            observed = seen(backlog=5_000, replicas_desired=1, replicas_ready=0, memory=memory)
            decision = desired_replicas(observed, POLICY, NOW + after)
            memory = decision.memory
            assert (decision.replicas, decision.reason) == (1, reason)

    def test_never_has_fewer_than_the_minimum(self, broken: dict[str, bool], reason: ScalingReason) -> None:
        observed = seen(backlog=5_000, replicas_desired=20, replicas_ready=0, **broken)
        assert desired_replicas(observed, replace(POLICY, min_replicas=3), NOW).replicas == 3

    def test_is_scaled_to_zero_without_tasks(self, broken: dict[str, bool], reason: ScalingReason) -> None:
        observed = seen(replicas_desired=2, memory=fewer_needed(0), **broken)
        assert desired_replicas(observed, POLICY, NOW).replicas == 0


def test_failing_tasks_that_end_within_the_drain_keep_no_replica() -> None:
    """Otherwise full slots would keep every replica until all tasks are dead-lettered."""
    observed = seen(backlog=5_000, in_flight=200, replicas_desired=20, all_tasks_failed=True, tasks_outlast_drain=False)
    assert desired_replicas(observed, POLICY, NOW).replicas == 1


def test_one_finished_task_ends_the_fault() -> None:
    memory = desired_replicas(seen(backlog=500, replicas_desired=1, all_tasks_failed=True), POLICY, NOW).memory
    observed = seen(backlog=500, replicas_desired=1, any_task_finished=True, memory=memory)
    assert desired_replicas(observed, POLICY, NOW + 2).replicas > 1


def test_a_crash_loop_ends_when_pods_have_stayed_ready_for_the_stabilisation_time() -> None:
    memory = desired_replicas(seen(backlog=500, replicas_desired=1, crash_looping=True), POLICY, NOW).memory
    for after, replicas in ((30.0, 1), (59.0, 1), (61.0, 41)):
        decision = desired_replicas(seen(backlog=500, replicas_desired=1, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_a_lowered_maximum_applies_although_the_queue_is_unreadable_and_is_not_blocked() -> None:
    observed = seen(replicas_desired=10, unreadable={Source.QUEUE: "throttled"})
    decision = desired_replicas(observed, replace(POLICY, max_replicas=4), NOW)
    assert (decision.replicas, decision.reason, decision.blocked) == (4, ScalingReason.BOUNDS, False)
    assert "4 replicas by maxReplicas" in decision.message
    assert "throttled" in decision.message


def test_the_task_time_is_remembered_when_nothing_is_measured() -> None:
    memory = desired_replicas(seen(task_seconds=60.0), POLICY, NOW).memory
    memory = desired_replicas(seen(task_seconds=None, memory=memory), POLICY, NOW + 1_800).memory
    later = desired_replicas(seen(backlog=240, task_seconds=None, memory=memory), POLICY, NOW + 3_600)
    assert later.replicas == 24


def test_messages_in_backoff_are_in_flight_but_occupy_no_slot() -> None:
    """All 30 slots are free although SQS counts 300 in flight; a busy slot would start no task within 10 s."""
    by_pod = {"a": 0, "b": 0, "c": 0}
    observed = seen(backlog=30, in_flight=300, tasks_by_pod=by_pod, replicas_desired=3, task_seconds=60.0)
    assert desired_replicas(observed, POLICY, NOW).replicas == 3


def test_a_message_has_the_values_that_decided() -> None:
    observed = seen(backlog=84, in_flight=30, arrivals_per_second=4.0, replicas_desired=3, wait_seconds=1.25)
    message = desired_replicas(observed, POLICY, NOW).message
    assert message.startswith("7 replicas to start every waiting task within 10 s")
    for value in ("84 waiting", "30 in flight", "4 arriving per second", "5 s per task", "1.25 s wait"):
        assert value in message


def test_every_reason_has_a_sentence() -> None:
    reached: set[ScalingReason] = {case[2] for case in CASES.values()}
    blocked = {
        ScalingReason.UNREADABLE,
        ScalingReason.CRASH_LOOP,
        ScalingReason.CANNOT_START,
        ScalingReason.RECEIVING_PAUSED,
        ScalingReason.TASKS_FAILING,
    }
    assert reached | blocked == set(ScalingReason)


def test_a_decision_is_the_same_for_the_same_observation() -> None:
    def decide() -> Decision:
        return desired_replicas(seen(backlog=84, in_flight=30, replicas_desired=3), POLICY, NOW)

    assert decide() == decide()


def test_a_blocked_decision_has_the_cause_that_the_pods_state() -> None:
    observed = seen(backlog=500, replicas_desired=2, cannot_receive="Momento refuses the API key")
    decision = desired_replicas(observed, POLICY, NOW)
    assert decision.blocked
    assert "no processor receives tasks: Momento refuses the API key" in decision.message
    observed = seen(backlog=500, cannot_start="ImagePullBackOff localhost/x:9")
    message = desired_replicas(observed, POLICY, NOW).message
    assert "no processor can start: ImagePullBackOff localhost/x:9" in message


def test_after_an_outage_a_stage_is_scaled_out_at_once() -> None:
    paused = seen(
        backlog=500, replicas_desired=2, cannot_receive="key refused", not_receiving_pods={"a": "", "b": ""},
        ready_not_receiving=2, in_flight=2,
    )  # fmt: skip
    memory = desired_replicas(paused, POLICY, NOW).memory
    over = seen(backlog=500, replicas_desired=2, memory=memory, tasks_by_pod={"a": 0, "b": 0})
    assert desired_replicas(over, POLICY, NOW + 2).replicas > 2


def test_a_processor_that_has_not_noticed_an_outage_does_not_unblock_scaling() -> None:
    """A scale-in removes the paused pods and leaves one that is still trying its notification."""
    paused = seen(
        backlog=500, replicas_desired=3, not_receiving_pods={"b": "", "c": ""}, cannot_receive="key refused",
        ready_not_receiving=2, in_flight=2, tasks_by_pod={"a": 2, "b": 0, "c": 0},
    )  # fmt: skip
    first = desired_replicas(paused, POLICY, NOW)
    assert (first.replicas, first.reason) == (1, ScalingReason.RECEIVING_PAUSED)
    alone = seen(backlog=500, replicas_desired=1, in_flight=2, tasks_by_pod={"a": 2}, memory=first.memory)
    assert desired_replicas(alone, POLICY, NOW + 2).replicas == 1
    assert desired_replicas(alone, POLICY, NOW + POLICY.scale_in_stabilisation_seconds + 1).replicas > 1


def test_an_outage_that_spreads_to_new_processors_stays_blocked() -> None:
    paused = seen(backlog=500, replicas_desired=3, cannot_receive="key refused", ready_not_receiving=2)
    memory = desired_replicas(paused, POLICY, NOW).memory
    half = seen(backlog=500, replicas_desired=2, not_receiving_pods={"a": ""}, ready_not_receiving=1, memory=memory)
    assert desired_replicas(half, POLICY, NOW + 2).reason is ScalingReason.RECEIVING_PAUSED
    assert desired_replicas(half, POLICY, NOW + 61).replicas > 2


def test_processors_that_receive_no_tasks_are_no_capacity() -> None:
    observed = seen(backlog=40, replicas_desired=4, ready_not_receiving=2, tasks_by_pod={"a": 0, "b": 0})
    assert desired_replicas(observed, POLICY, NOW).replicas == 4
    observed = seen(backlog=80, replicas_desired=4, ready_not_receiving=2, working_share=0.5)
    assert desired_replicas(observed, POLICY, NOW).replicas > 4


class TestBesideAFaultyRevision:
    """The Deployment gets so many replicas that enough of them work."""

    def replicas(self, share: float, surge: str, **changes: Any) -> int:
        observed = seen(working_share=share, max_surge=surge, task_seconds=600.0, **changes)
        return desired_replicas(observed, POLICY, NOW).replicas

    def test_one_of_two_working_is_enough_for_one(self) -> None:
        """One replica and one surge pod: half of two pods."""
        assert self.replicas(0.5, "25%", backlog=10, replicas_desired=1) == 1

    def test_more_replicas_are_decided_than_have_to_work(self) -> None:
        # 10 have to work: two thirds of 12 replicas and 3 surge pods do.
        assert self.replicas(2 / 3, "25%", backlog=100, replicas_desired=2, replicas_ready=2) == 12
        assert self.replicas(2 / 3, "1", backlog=100, replicas_desired=2, replicas_ready=2) == 14
        assert self.replicas(2 / 3, "0", backlog=100, replicas_desired=2, replicas_ready=2) == 15

    def test_within_the_bounds(self) -> None:
        assert self.replicas(0.1, "0", backlog=100, replicas_desired=10, replicas_ready=1) == POLICY.max_replicas

    def test_the_message_says_what_does_not_work(self) -> None:
        summary = "1 of 3 processors do not work: ImagePullBackOff localhost/x:9"
        observed = seen(backlog=100, replicas_desired=2, working_share=2 / 3, fault_summary=summary)
        assert summary in desired_replicas(observed, POLICY, NOW).message


def test_a_processor_that_does_not_answer_does_not_end_the_pause_of_receiving() -> None:
    paused = seen(
        backlog=500, replicas_desired=1, replicas_ready=1, cannot_receive="key refused", ready_not_receiving=1,
        not_receiving_pods={"a": ""},
    )  # fmt: skip
    memory = desired_replicas(paused, POLICY, NOW).memory
    silent = seen(backlog=500, replicas_desired=1, replicas_ready=1, unreadable={Source.PROCESSOR: "no answer"})
    for seconds in (2.0, POLICY.scale_in_stabilisation_seconds + 2):
        decision = desired_replicas(replace(silent, memory=memory), POLICY, NOW + seconds)
        assert decision.replicas == 1
    answers = replace(seen(backlog=500, replicas_desired=1, replicas_ready=1), memory=memory, tasks_by_pod={"a": 0})
    assert desired_replicas(answers, POLICY, NOW + 4).replicas > 1
