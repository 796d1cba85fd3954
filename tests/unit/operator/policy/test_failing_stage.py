"""A broken processor from zero to the end: policy and pods in a closed loop, for breakage shows only once pods run."""

import pytest

from k8s.operator.policy.types import Reason
from tests.support.operator.failing_stage import FailingStage

SHOWN_SECONDS = 30.0
"""Pods start, fail, and are seen to."""


def most_after(stage: FailingStage, seconds: float) -> int:
    return max(replicas for at, replicas in stage.replicas if at >= seconds)


@pytest.mark.parametrize("is_ready_before_it_dies", [False, True])
def test_an_image_that_crashes_does_not_keep_what_it_was_given_from_zero(is_ready_before_it_dies: bool) -> None:
    stage = FailingStage(lives=3.0, is_ready_before_it_dies=is_ready_before_it_dies)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20), "nothing shows it before there are pods"
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert Reason.CRASH_LOOP in stage.reasons


def test_an_image_that_never_starts_does_not_keep_what_it_was_given_from_zero() -> None:
    stage = FailingStage(lives=0.0)
    stage.run(3_600)
    assert most_after(stage, SHOWN_SECONDS) == 1


@pytest.mark.parametrize("task_seconds", [0.1, 5.0, 20.0])
def test_tasks_that_all_fail_do_not_keep_what_they_were_given_from_zero(task_seconds: float) -> None:
    stage = FailingStage(fails=True, task_seconds=task_seconds)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20)
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert Reason.FAILING in stage.reasons


def test_a_mended_image_is_scaled_again() -> None:
    stage = FailingStage(lives=3.0)
    stage.run(120)
    stage.lives = None
    for pod in stage.pods:
        pod.runs_from = stage.now
    stage.run(80)
    assert stage.replicas[-1][1] == 20 or stage.waiting == 0
    assert most_after(stage, 120) > 1


def test_tasks_that_succeed_again_are_scaled_for_again() -> None:
    stage = FailingStage(fails=True)
    stage.run(300)
    stage.fails = False
    stage.run(200)
    assert most_after(stage, 300) > 1
    stage.run(600)
    assert stage.waiting == 0
    assert stage.replicas[-1][1] == 0


def test_an_image_that_cannot_be_pulled_does_not_keep_what_it_was_given_from_zero() -> None:
    stage = FailingStage(cannot_start=True)
    stage.run(600)
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert stage.reasons >= {Reason.CANNOT_START}
    assert Reason.CRASH_LOOP not in stage.reasons
    stage.cannot_start = False
    stage.run(10)
    assert stage.replicas[-1][1] == 20


def test_an_outage_does_not_keep_what_it_was_given_from_zero_and_ends_at_once() -> None:
    stage = FailingStage(is_paused=True)
    stage.run(600)
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert Reason.RECEIVING_PAUSED in stage.reasons
    stage.is_paused = False
    stage.run(4)
    assert stage.replicas[-1][1] == 20


def test_a_stage_that_an_outage_finds_at_work_is_not_scaled_out_for_it() -> None:
    stage = FailingStage(waiting=40)
    stage.run(10)
    before = stage.replicas[-1][1]
    stage.is_paused, stage.waiting = True, 2_000
    stage.run(600)
    assert most_after(stage, 10) <= before
    assert stage.replicas[-1][1] == 1


def test_in_an_outage_that_is_known_a_stage_at_zero_gets_one_replica() -> None:
    stage = FailingStage(waiting=40, is_paused=True)
    stage.run(60)
    stage.waiting = 0
    stage.run(200)
    assert stage.replicas[-1][1] == 0
    woken_at, stage.waiting = stage.now, 2_000
    stage.run(200)
    assert most_after(stage, woken_at) == 1
