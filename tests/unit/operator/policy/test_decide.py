"""The rule of scaling, case by case: ten slots a replica, five seconds a task, an objective of ten seconds."""

from dataclasses import replace
from typing import Any

import pytest

from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Decision, Figure, Memory, Observed, Policy, Reason, Recommendation
from tests.support.operator.observations import packed, seen

POLICY = Policy(max_replicas=50)
NOW = 10_000.0


def wanted(at: float, replicas: int) -> Memory:
    return Memory(recommendations=(Recommendation(at, replicas),))


IDLE_LONG_AGO = wanted(NOW - 61, 20)
"""Many were wanted, but no longer within the stabilisation time; the last decision was a moment ago."""


def long_enough(few: int) -> Memory:
    return Memory(recommendations=(*IDLE_LONG_AGO.recommendations, Recommendation(NOW - 59, few)))


def outlasted(at: float) -> Memory:
    return replace(wanted(NOW - 59, 1), outlasted_at=at)


CASES = {
    "nothing to do, nothing there": (seen(), 0, Reason.STEADY),
    "the first message": (seen(visible=1), 1, Reason.FIRST_MESSAGE),
    "a task was accepted that the queue does not show yet": (seen(arrivals_per_second=0.05), 1, Reason.FIRST_MESSAGE),
    # A new pod has 10 - 4 s, and so starts 1.2 tasks a slot: 240 / 12.
    "many messages at once": (seen(visible=240), 20, Reason.FIRST_MESSAGE),
    "more than the most can do": (seen(visible=2_000), 50, Reason.BOUNDS),
    "no task was measured yet": (seen(visible=240, task_seconds=None), 20, Reason.FIRST_MESSAGE),
    "tasks far shorter than the objective": (seen(visible=240, task_seconds=0.1), 1, Reason.FIRST_MESSAGE),
    "tasks far longer than the objective: a slot each": (seen(visible=240, task_seconds=600), 24, Reason.FIRST_MESSAGE),
    # 7 a second of 5 s are 35 slots, of which 0.7 may be taken.
    "arrivals that fill more slots than there are": (
        seen(arrivals_per_second=7.0, in_flight=30, replicas_desired=3),
        5,
        Reason.ARRIVALS,
    ),
    "arrivals a little above the utilisation": (
        seen(arrivals_per_second=4.4, in_flight=22, replicas_desired=3),
        3,
        Reason.STEADY,
    ),
    # 30 busy slots start 60 within 10 s, two replicas are missing for the 24 others.
    "a backlog that the busy slots cannot start in time": (
        seen(visible=84, in_flight=30, arrivals_per_second=4.0, replicas_desired=3),
        5,
        Reason.BACKLOG,
    ),
    "a backlog that the busy slots start in time": (
        seen(visible=60, in_flight=30, arrivals_per_second=4.0, replicas_desired=3),
        3,
        Reason.STEADY,
    ),
    "the wait is already beyond the objective: a slot each": (
        seen(visible=60, in_flight=30, arrivals_per_second=4.0, replicas_desired=3, wait_seconds=11.0),
        9,
        Reason.BACKLOG,
    ),
    "pods that start are waited for, not asked for again": (
        seen(visible=240, replicas_desired=20, replicas_ready=0),
        20,
        Reason.STEADY,
    ),
    "fewer would do, but not for long enough": (seen(replicas_desired=8), 8, Reason.STABILISING),
    "fewer have done for long enough": (
        seen(arrivals_per_second=1.0, replicas_desired=8, memory=long_enough(1)),
        1,
        Reason.IDLE,
    ),
    "idle for long enough": (seen(replicas_desired=8, memory=long_enough(0)), 0, Reason.IDLE),
    "only idle ones go": (
        seen(in_flight=25, in_flight_by_pod=packed(25, 8, POLICY), replicas_desired=8, memory=long_enough(1)),
        3,
        Reason.IDLE,
    ),
    "all are busy, though with little": (
        seen(in_flight=8, replicas_desired=8, memory=long_enough(1)),
        8,
        Reason.IN_FLIGHT,
    ),
    "busy for so long that some must go in the end, as their tasks end in the drain": (
        seen(in_flight=24, replicas_desired=8, outlasting=False, memory=wanted(NOW - 59, 1)),
        3,
        Reason.IDLE,
    ),
    "busy for long, with tasks that a drain may cut off": (
        seen(in_flight=24, replicas_desired=8, outlasting=True, memory=wanted(NOW - 59, 1)),
        8,
        Reason.IN_FLIGHT,
    ),
    "busy for long, with tasks of which none has ended": (
        seen(in_flight=24, replicas_desired=8, memory=wanted(NOW - 59, 1)),
        8,
        Reason.IN_FLIGHT,
    ),
    "busy for long, with tasks that could be cut off half an hour ago": (
        seen(in_flight=24, replicas_desired=8, outlasting=False, memory=outlasted(NOW - 1_800)),
        8,
        Reason.IN_FLIGHT,
    ),
    "a busy one that is not ready would go first": (
        seen(
            in_flight=5,
            in_flight_by_pod={"a": 5, "b": 0, "c": 0},
            busy_unready=1,
            replicas_desired=3,
            replicas_ready=2,
            memory=long_enough(1),
        ),
        3,
        Reason.IN_FLIGHT,
    ),
    "a pod that did not tell may be busy": (
        seen(in_flight=2, in_flight_by_pod={"a": 1}, replicas_desired=2, memory=long_enough(1)),
        2,
        Reason.IN_FLIGHT,
    ),
    "what is in flight elsewhere raises nothing": (seen(in_flight=100), 0, Reason.STEADY),
}


@pytest.mark.parametrize(("observed", "replicas", "reason"), CASES.values(), ids=CASES)
def test_a_stage_gets_the_fewest_replicas_that_keep_the_objective(
    observed: Observed, replicas: int, reason: Reason
) -> None:
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.reason) == (replicas, reason), decision.message
    assert not decision.hold


def test_bounds_hold_in_both_directions() -> None:
    policy = replace(POLICY, min_replicas=2, max_replicas=4)
    least = desired_replicas(seen(), policy, NOW)
    assert (least.replicas, least.reason) == (2, Reason.BOUNDS)
    assert "minReplicas" in least.message
    most = desired_replicas(seen(visible=1_000, replicas_desired=4), policy, NOW)
    assert (most.replicas, most.reason) == (4, Reason.BOUNDS)
    assert "maxReplicas" in most.message


def test_a_lowered_maximum_applies_at_once() -> None:
    decision = desired_replicas(seen(replicas_desired=30, in_flight=300), replace(POLICY, max_replicas=10), NOW)
    assert decision.replicas == 10


def test_single_slots_need_spare_ones_lest_the_line_grows() -> None:
    """With one slot, 0.7 of it taken, 38 % would wait for more than 10 s (Erlang C); with two 1 %."""
    policy = replace(POLICY, slots_per_replica=1)
    assert desired_replicas(seen(arrivals_per_second=0.14), policy, NOW).replicas == 2


@pytest.mark.parametrize("figure", Figure)
def test_nothing_changes_when_a_figure_cannot_be_read(figure: Figure) -> None:
    observed = seen(replicas_desired=7, unreadable={figure: "throttled"}, memory=long_enough(0))
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.hold, decision.reason) == (7, True, Reason.UNREADABLE)
    assert "throttled" in decision.message


@pytest.mark.parametrize("figure", [Figure.ARRIVALS, Figure.TASKS])
def test_a_stage_at_zero_wakes_though_a_pod_cannot_be_read(figure: Figure) -> None:
    observed = seen(visible=1, arrivals_per_second=None, task_seconds=None, unreadable={figure: "timed out"})
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.hold) == (1, False)
    assert "timed out" in decision.message


def test_the_depth_of_an_unread_queue_is_not_reckoned_with() -> None:
    observed = seen(visible=500, replicas_desired=1, unreadable={Figure.BACKLOG: "stale"})
    assert desired_replicas(observed, POLICY, NOW).replicas == 1


def test_unread_replicas_are_those_that_were_wanted_last() -> None:
    observed = seen(replicas_desired=None, unreadable={Figure.REPLICAS: "no API server"}, memory=wanted(NOW - 5, 6))
    decision = desired_replicas(observed, POLICY, NOW)
    assert (decision.replicas, decision.hold) == (6, True)


def test_an_outage_is_followed_by_a_full_stabilisation_time() -> None:
    blind = seen(replicas_desired=7, unreadable={Figure.BACKLOG: "throttled"}, memory=long_enough(0))
    memory = desired_replicas(blind, POLICY, NOW).memory
    for after, replicas in ((2.0, 7), (59.0, 7), (61.0, 0)):
        decision = desired_replicas(seen(replicas_desired=7, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_a_new_operator_lets_nothing_go_before_it_has_watched_for_a_while() -> None:
    memory = Memory()
    for after, replicas in ((0.0, 7), (58.0, 7), (61.0, 0)):
        decision = desired_replicas(seen(replicas_desired=7, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_every_sparse_message_keeps_its_replica_for_a_full_stabilisation_time() -> None:
    """kedacore/keda#7327: messages that come now and then meet a cold start each time there."""
    memory, replicas = Memory(), 0
    for now in range(0, 300, 5):
        observed = seen(visible=int(now in {0, 50, 100, 150, 200}), replicas_desired=replicas, memory=memory)
        decision = desired_replicas(observed, POLICY, NOW + now)
        memory, replicas = decision.memory, decision.replicas
        assert replicas == (now < 200 + POLICY.scale_in_stabilisation_seconds), now


def test_a_long_pause_counts_as_if_it_were_new() -> None:
    observed = seen(replicas_desired=7, memory=wanted(NOW - 200, 0))
    assert desired_replicas(observed, POLICY, NOW).replicas == 7


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"crash_looping": True}, Reason.CRASH_LOOP),
        ({"cannot_start": "ImagePullBackOff"}, Reason.CANNOT_START),
        ({"receives_nothing": "key refused", "ready_not_receiving": 2}, Reason.RECEIVING_PAUSED),
        ({"failing": True}, Reason.FAILING),
    ],
)
class TestABrokenProcessor:
    def test_loses_what_it_was_given_before_that_showed(self, broken: dict[str, bool], reason: Reason) -> None:
        observed = seen(visible=5_000, replicas_desired=20, replicas_ready=0, **broken)
        decision = desired_replicas(observed, POLICY, NOW)
        assert (decision.replicas, decision.hold, decision.reason) == (1, True, reason)
        assert "held at 1 replica, where 417 would be wanted" in decision.message

    def test_keeps_those_that_have_tasks_in_hand(self, broken: dict[str, bool], reason: Reason) -> None:
        in_hand = {"a": 3, "b": 1, "c": 0}
        observed = seen(visible=5_000, replicas_desired=6, replicas_ready=2, in_flight_by_pod=in_hand, **broken)
        assert desired_replicas(observed, POLICY, NOW).replicas == 2
        unready = replace(observed, busy_unready=1)
        assert desired_replicas(unready, POLICY, NOW).replicas == 6

    def test_gets_one_replica_to_find_out_whether_it_still_is(self, broken: dict[str, bool], reason: Reason) -> None:
        assert desired_replicas(seen(visible=5_000, **broken), POLICY, NOW).replicas == 1

    def test_is_not_forgotten_while_nothing_shows_it(self, broken: dict[str, bool], reason: Reason) -> None:
        memory = desired_replicas(seen(visible=5_000, **broken), POLICY, NOW).memory
        for after in (10.0, 600.0, 3_600.0):
            observed = seen(visible=5_000, replicas_desired=1, replicas_ready=0, memory=memory)
            decision = desired_replicas(observed, POLICY, NOW + after)
            memory = decision.memory
            assert (decision.replicas, decision.reason) == (1, reason)

    def test_never_has_less_than_the_least(self, broken: dict[str, bool], reason: Reason) -> None:
        observed = seen(visible=5_000, replicas_desired=20, replicas_ready=0, **broken)
        assert desired_replicas(observed, replace(POLICY, min_replicas=3), NOW).replicas == 3

    def test_lets_replicas_go_when_there_is_nothing_left_to_do(self, broken: dict[str, bool], reason: Reason) -> None:
        observed = seen(replicas_desired=2, memory=long_enough(0), **broken)
        assert desired_replicas(observed, POLICY, NOW).replicas == 0


def test_failing_tasks_that_end_in_the_drain_keep_no_replica() -> None:
    """Full slots would keep all that there are, until everything has failed for good."""
    observed = seen(visible=5_000, in_flight=200, replicas_desired=20, failing=True, outlasting=False)
    assert desired_replicas(observed, POLICY, NOW).replicas == 1


def test_one_success_ends_the_failing() -> None:
    memory = desired_replicas(seen(visible=500, replicas_desired=1, failing=True), POLICY, NOW).memory
    observed = seen(visible=500, replicas_desired=1, succeeding=True, memory=memory)
    assert desired_replicas(observed, POLICY, NOW + 2).replicas > 1


def test_a_crash_loop_ends_when_pods_have_stayed_ready_for_the_stabilisation_time() -> None:
    memory = desired_replicas(seen(visible=500, replicas_desired=1, crash_looping=True), POLICY, NOW).memory
    for after, replicas in ((30.0, 1), (59.0, 1), (61.0, 41)):
        decision = desired_replicas(seen(visible=500, replicas_desired=1, memory=memory), POLICY, NOW + after)
        memory = decision.memory
        assert decision.replicas == replicas, after


def test_a_lowered_maximum_applies_though_nothing_can_be_read_and_is_no_hold() -> None:
    observed = seen(replicas_desired=10, unreadable={Figure.BACKLOG: "throttled"})
    decision = desired_replicas(observed, replace(POLICY, max_replicas=4), NOW)
    assert (decision.replicas, decision.reason, decision.hold) == (4, Reason.BOUNDS, False)
    assert "4 replicas by maxReplicas" in decision.message
    assert "throttled" in decision.message


def test_the_task_time_is_remembered_when_nothing_is_measured() -> None:
    memory = desired_replicas(seen(task_seconds=60.0), POLICY, NOW).memory
    memory = desired_replicas(seen(task_seconds=None, memory=memory), POLICY, NOW + 1_800).memory
    later = desired_replicas(seen(visible=240, task_seconds=None, memory=memory), POLICY, NOW + 3_600)
    assert later.replicas == 24


def test_what_backs_off_is_in_flight_but_takes_no_slot() -> None:
    """All 30 slots are free, though SQS counts 300 in flight; a busy one would start none of these within 10 s."""
    by_pod = {"a": 0, "b": 0, "c": 0}
    observed = seen(visible=30, in_flight=300, in_flight_by_pod=by_pod, replicas_desired=3, task_seconds=60.0)
    assert desired_replicas(observed, POLICY, NOW).replicas == 3


def test_a_message_tells_the_figures_that_decided() -> None:
    observed = seen(visible=84, in_flight=30, arrivals_per_second=4.0, replicas_desired=3, wait_seconds=1.25)
    message = desired_replicas(observed, POLICY, NOW).message
    assert message.startswith("7 replicas to start all that waits within 10 s")
    for figure in ("84 waiting", "30 in flight", "4 a second arriving", "5 s a task", "1.25 s of wait"):
        assert figure in message


def test_every_reason_has_a_sentence() -> None:
    reached: set[Reason] = {case[2] for case in CASES.values()}
    held = {Reason.UNREADABLE, Reason.CRASH_LOOP, Reason.CANNOT_START, Reason.RECEIVING_PAUSED, Reason.FAILING}
    assert reached | held == set(Reason)


def test_a_decision_is_the_same_for_the_same_observation() -> None:
    def decide() -> Decision:
        return desired_replicas(seen(visible=84, in_flight=30, replicas_desired=3), POLICY, NOW)

    assert decide() == decide()


def test_a_hold_says_the_cause_that_the_pods_give() -> None:
    observed = seen(visible=500, replicas_desired=2, receives_nothing="Momento refuses the API key")
    decision = desired_replicas(observed, POLICY, NOW)
    assert decision.hold
    assert "no processor receives tasks: Momento refuses the API key" in decision.message
    observed = seen(visible=500, cannot_start="ImagePullBackOff localhost/x:9")
    message = desired_replicas(observed, POLICY, NOW).message
    assert "no processor can start: ImagePullBackOff localhost/x:9" in message


def test_after_an_outage_a_stage_is_scaled_out_at_once() -> None:
    paused = seen(
        visible=500, replicas_desired=2, receives_nothing="key refused", cannot_receive={"a": "", "b": ""},
        ready_not_receiving=2, in_flight=2,
    )  # fmt: skip
    memory = desired_replicas(paused, POLICY, NOW).memory
    over = seen(visible=500, replicas_desired=2, memory=memory, in_flight_by_pod={"a": 0, "b": 0})
    assert desired_replicas(over, POLICY, NOW + 2).replicas > 2


def test_a_processor_that_has_not_noticed_an_outage_does_not_end_the_hold() -> None:
    """Scaling in takes those that were paused, and leaves one whose notification is still being tried."""
    paused = seen(
        visible=500, replicas_desired=3, cannot_receive={"b": "", "c": ""}, receives_nothing="key refused",
        ready_not_receiving=2, in_flight=2, in_flight_by_pod={"a": 2, "b": 0, "c": 0},
    )  # fmt: skip
    first = desired_replicas(paused, POLICY, NOW)
    assert (first.replicas, first.reason) == (1, Reason.RECEIVING_PAUSED)
    alone = seen(visible=500, replicas_desired=1, in_flight=2, in_flight_by_pod={"a": 2}, memory=first.memory)
    assert desired_replicas(alone, POLICY, NOW + 2).replicas == 1
    assert desired_replicas(alone, POLICY, NOW + POLICY.scale_in_stabilisation_seconds + 1).replicas > 1


def test_an_outage_that_spreads_to_new_processors_is_not_scaled_into_again_at_once() -> None:
    paused = seen(visible=500, replicas_desired=3, receives_nothing="key refused", ready_not_receiving=2)
    memory = desired_replicas(paused, POLICY, NOW).memory
    half = seen(visible=500, replicas_desired=2, cannot_receive={"a": ""}, ready_not_receiving=1, memory=memory)
    assert desired_replicas(half, POLICY, NOW + 2).reason is Reason.RECEIVING_PAUSED
    assert desired_replicas(half, POLICY, NOW + 61).replicas > 2


def test_processors_that_receive_nothing_are_no_capacity_and_the_others_count() -> None:
    observed = seen(visible=40, replicas_desired=4, ready_not_receiving=2, in_flight_by_pod={"a": 0, "b": 0})
    assert desired_replicas(observed, POLICY, NOW).replicas == 4
    observed = seen(visible=80, replicas_desired=4, ready_not_receiving=2, working_share=0.5)
    assert desired_replicas(observed, POLICY, NOW).replicas > 4


class TestBesideARevisionThatDoesNotWork:
    """The Deployment is asked for so many replicas that enough of them work."""

    def replicas(self, share: float, surge: str, **changes: Any) -> int:
        observed = seen(working_share=share, max_surge=surge, task_seconds=600.0, **changes)
        return desired_replicas(observed, POLICY, NOW).replicas

    def test_one_of_two_working_is_enough_for_one(self) -> None:
        """One replica and one beyond it that rolls out: half of two pods."""
        assert self.replicas(0.5, "25%", visible=10, replicas_desired=1) == 1

    def test_more_are_asked_for_than_have_to_work(self) -> None:
        # 10 have to work: of 12 replicas and 3 beyond, two thirds do.
        assert self.replicas(2 / 3, "25%", visible=100, replicas_desired=2, replicas_ready=2) == 12
        assert self.replicas(2 / 3, "1", visible=100, replicas_desired=2, replicas_ready=2) == 14
        assert self.replicas(2 / 3, "0", visible=100, replicas_desired=2, replicas_ready=2) == 15

    def test_within_the_bounds(self) -> None:
        assert self.replicas(0.1, "0", visible=100, replicas_desired=10, replicas_ready=1) == POLICY.max_replicas

    def test_the_message_says_what_does_not_work(self) -> None:
        said = "1 of 3 processors do not work: ImagePullBackOff localhost/x:9"
        observed = seen(visible=100, replicas_desired=2, working_share=2 / 3, not_working=said)
        assert said in desired_replicas(observed, POLICY, NOW).message


def test_a_processor_that_does_not_answer_does_not_end_the_pause_of_receiving() -> None:
    paused = seen(
        visible=500, replicas_desired=1, replicas_ready=1, receives_nothing="key refused", ready_not_receiving=1,
        cannot_receive={"a": ""},
    )  # fmt: skip
    memory = desired_replicas(paused, POLICY, NOW).memory
    silent = seen(visible=500, replicas_desired=1, replicas_ready=1, unreadable={Figure.TASKS: "no answer"})
    for seconds in (2.0, POLICY.scale_in_stabilisation_seconds + 2):
        decision = desired_replicas(replace(silent, memory=memory), POLICY, NOW + seconds)
        assert decision.replicas == 1
    answers = replace(seen(visible=500, replicas_desired=1, replicas_ready=1), memory=memory, in_flight_by_pod={"a": 0})
    assert desired_replicas(answers, POLICY, NOW + 4).replicas > 1
