"""A faulty processor from zero on: policy and pods in a closed loop, since a fault shows only once pods run."""

import pytest

from k8s.operator.policy.types import ScalingReason
from tests.support.operator.faulty_stage import FaultyStage

SHOWN_SECONDS = 30.0
"""Pods have started, failed and been observed."""


def max_after(stage: FaultyStage, seconds: float) -> int:
    return max(replicas for at, replicas in stage.replicas if at >= seconds)


@pytest.mark.parametrize("is_ready_before_it_dies", [False, True])
def test_an_image_that_crashes_does_not_keep_the_replicas_it_got_from_zero(is_ready_before_it_dies: bool) -> None:
    stage = FaultyStage(lives=3.0, is_ready_before_it_dies=is_ready_before_it_dies)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20), "the fault does not show before there are pods"
    assert max_after(stage, SHOWN_SECONDS) == 1
    assert ScalingReason.CRASH_LOOP in stage.reasons


def test_an_image_that_never_starts_does_not_keep_the_replicas_it_got_from_zero() -> None:
    stage = FaultyStage(lives=0.0)
    stage.run(3_600)
    assert max_after(stage, SHOWN_SECONDS) == 1


@pytest.mark.parametrize("task_seconds", [0.1, 5.0, 20.0])
def test_tasks_that_all_fail_do_not_keep_the_replicas_they_got_from_zero(task_seconds: float) -> None:
    stage = FaultyStage(fails=True, task_seconds=task_seconds)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20)
    assert max_after(stage, SHOWN_SECONDS) == 1
    assert ScalingReason.TASKS_FAILING in stage.reasons


def test_a_repaired_image_is_scaled_again() -> None:
    stage = FaultyStage(lives=3.0)
    stage.run(120)
    stage.lives = None
    for pod in stage.pods:
        pod.runs_from = stage.now
    stage.run(80)
    assert stage.replicas[-1][1] == 20 or stage.waiting == 0
    assert max_after(stage, 120) > 1


def test_a_stage_whose_tasks_finish_again_is_scaled_again() -> None:
    stage = FaultyStage(fails=True)
    stage.run(300)
    stage.fails = False
    stage.run(200)
    assert max_after(stage, 300) > 1
    stage.run(600)
    assert stage.waiting == 0
    assert stage.replicas[-1][1] == 0


def test_an_image_that_cannot_be_pulled_does_not_keep_the_replicas_it_got_from_zero() -> None:
    stage = FaultyStage(cannot_start=True)
    stage.run(600)
    assert max_after(stage, SHOWN_SECONDS) == 1
    assert stage.reasons >= {ScalingReason.CANNOT_START}
    assert ScalingReason.CRASH_LOOP not in stage.reasons
    stage.cannot_start = False
    stage.run(10)
    assert stage.replicas[-1][1] == 20


def test_an_outage_does_not_keep_the_replicas_it_got_from_zero_and_ends_at_once() -> None:
    stage = FaultyStage(is_paused=True)
    stage.run(600)
    assert max_after(stage, SHOWN_SECONDS) == 1
    assert ScalingReason.RECEIVING_PAUSED in stage.reasons
    stage.is_paused = False
    stage.run(4)
    assert stage.replicas[-1][1] == 20


def test_a_stage_with_running_tasks_is_not_scaled_out_during_an_outage() -> None:
    stage = FaultyStage(waiting=40)
    stage.run(10)
    before = stage.replicas[-1][1]
    stage.is_paused, stage.waiting = True, 2_000
    stage.run(600)
    assert max_after(stage, 10) <= before
    assert stage.replicas[-1][1] == 1


def test_during_a_known_outage_a_stage_at_zero_gets_one_replica() -> None:
    stage = FaultyStage(waiting=40, is_paused=True)
    stage.run(60)
    stage.waiting = 0
    stage.run(200)
    assert stage.replicas[-1][1] == 0
    scaled_out_at, stage.waiting = stage.now, 2_000
    stage.run(200)
    assert max_after(stage, scaled_out_at) == 1
