"""A broken processor from zero to the end: policy and pods in a closed loop, for breakage shows only once pods run."""

import pytest

from k8s.operator.scaling.types import Reason
from tests.support.stage_in_trouble import StageInTrouble

SHOWN_SECONDS = 30.0
"""Pods start, fail, and are seen to."""


def most_after(stage: StageInTrouble, seconds: float) -> int:
    return max(replicas for at, replicas in stage.replicas if at >= seconds)


@pytest.mark.parametrize("is_ready_before_it_dies", [False, True])
def test_an_image_that_crashes_does_not_keep_what_it_was_given_from_zero(is_ready_before_it_dies: bool) -> None:
    stage = StageInTrouble(lives=3.0, is_ready_before_it_dies=is_ready_before_it_dies)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20), "nothing shows it before there are pods"
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert Reason.CRASH_LOOP in stage.reasons


def test_an_image_that_never_starts_does_not_keep_what_it_was_given_from_zero() -> None:
    stage = StageInTrouble(lives=0.0)
    stage.run(3_600)
    assert most_after(stage, SHOWN_SECONDS) == 1


@pytest.mark.parametrize("task_seconds", [0.1, 5.0, 20.0])
def test_tasks_that_all_fail_do_not_keep_what_they_were_given_from_zero(task_seconds: float) -> None:
    stage = StageInTrouble(fails=True, task_seconds=task_seconds)
    stage.run(3_600)
    assert stage.replicas[0] == (0.0, 20)
    assert most_after(stage, SHOWN_SECONDS) == 1
    assert Reason.FAILING in stage.reasons


def test_a_mended_image_is_scaled_again() -> None:
    stage = StageInTrouble(lives=3.0)
    stage.run(120)
    stage.lives = None
    for pod in stage.pods:
        pod.runs_from = stage.now
    stage.run(80)
    assert stage.replicas[-1][1] == 20 or stage.waiting == 0
    assert most_after(stage, 120) > 1


def test_tasks_that_succeed_again_are_scaled_for_again() -> None:
    stage = StageInTrouble(fails=True)
    stage.run(300)
    stage.fails = False
    stage.run(200)
    assert most_after(stage, 300) > 1
    stage.run(600)
    assert stage.waiting == 0
    assert stage.replicas[-1][1] == 0
