"""The names of a stage's resources: within every service's limits, or refused with a reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.resources.identity import InvalidNameError, stage_names

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PARTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,35}", fullmatch=True)


def test_the_names_of_a_stage() -> None:
    names = stage_names("notification-api", "pr-123")

    assert names.task_queue == "notification-api-pr-123-tasks"
    assert names.dead_letter_queue == "notification-api-pr-123-dlq"
    assert names.user_pool == "notification-api-pr-123-UserPool"
    assert names.user_pool_client == "notification-api-pr-123-UserPoolClient"
    assert names.cache == "notification-api-pr-123"


@given(PARTS, PARTS)
def test_names_fit_every_service(service: str, stage: str) -> None:
    names = stage_names(service, stage)

    for queue in (names.task_queue, names.dead_letter_queue):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", queue)
    for cognito in (names.user_pool, names.user_pool_client):
        assert re.fullmatch(r"[\w\s+=,.@-]{1,128}", cognito)


@given(PARTS, PARTS)
def test_the_names_of_one_stage_all_differ(service: str, stage: str) -> None:
    names = stage_names(service, stage)

    assert len({names.task_queue, names.dead_letter_queue, names.user_pool, names.user_pool_client, names.cache}) == 5


@given(PARTS, PARTS, PARTS)
def test_two_stages_of_a_service_share_no_name(service: str, one: str, other: str) -> None:
    shared = set(vars(stage_names(service, one)).values()) & set(vars(stage_names(service, other)).values())

    assert bool(shared) == (one == other) or _one_continues_the_other(one, other)


def _one_continues_the_other(one: str, other: str) -> bool:
    # A stage called `dev-tasks` has a cache named as the queue of `dev`: two services, so no clash.
    return one.startswith(f"{other}-") or other.startswith(f"{one}-")


@given(st.integers(min_value=1, max_value=40))
def test_a_name_too_long_says_which_and_by_how_much(excess: int) -> None:
    service, stage = "notification-api", "s" * (80 - len("notification-api--tasks") + excess)

    with pytest.raises(InvalidNameError, match=rf"task queue name .* is {excess} characters too long \(at most 80\)"):
        stage_names(service, stage)


def test_the_longest_name_is_accepted() -> None:
    assert len(stage_names("notification-api", "s" * (80 - len("notification-api--tasks"))).task_queue) == 80


@given(st.text(min_size=1, max_size=20).filter(lambda text: not set(text) <= set(LETTERS + "_-")))
def test_characters_that_sqs_refuses_are_refused(part: str) -> None:
    with pytest.raises(InvalidNameError, match="stage name"):
        stage_names("notification-api", part)


@pytest.mark.parametrize("part", ["", "-dev", "_dev", "dev\n", "d/ev", "dév", "dev.fifo"])
def test_unusable_parts_are_refused(part: str) -> None:
    with pytest.raises(InvalidNameError):
        stage_names("notification-api", part)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidNameError) as refused:
        stage_names("no good", "s" * 130)

    for what in ("service name 'no good'", "task queue", "dead-letter queue", "user pool name", "user pool client"):
        assert what in str(refused.value)
