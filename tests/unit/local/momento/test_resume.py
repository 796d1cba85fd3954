"""Where a subscription of the Momento emulator starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.momento.store.topics import Start, start_of

PAGE = 100
# The topic has messages 5 to 9.
TABLE = [
    pytest.param(0, 0, Start(10), id="nothing asked for: the newest only"),
    pytest.param(0, 99, Start(10), id="nothing asked for, on another page"),
    pytest.param(10, PAGE, Start(10), id="nothing was missed"),
    pytest.param(7, PAGE, Start(7), id="all missed messages are available"),
    pytest.param(5, PAGE, Start(5), id="just there"),
    pytest.param(7, 0, Start(7), id="a subscriber that knows no page"),
    pytest.param(4, PAGE, Start(5, missing=(3, 4)), id="one is missing"),
    pytest.param(1, PAGE, Start(5, missing=(0, 4)), id="from the first on"),
    pytest.param(7, 99, Start(5, missing=(6, 4)), id="another page"),
    pytest.param(12, PAGE, Start(5, missing=(11, 4)), id="yet to come: of an earlier life"),
]


@pytest.mark.parametrize(("resume_at", "page", "expected"), TABLE)
def test_where_to_start(resume_at: int, page: int, expected: Start) -> None:
    assert start_of(resume_at, page, topic_page=PAGE, oldest=5, newest=9) == expected


def test_a_new_topic_has_no_gap() -> None:
    assert start_of(0, 0, topic_page=PAGE, oldest=1, newest=0) == Start(1)
    assert start_of(1, PAGE, topic_page=PAGE, oldest=1, newest=0) == Start(1)


@given(st.integers(0, 30), st.sampled_from([0, 99, PAGE]), st.integers(1, 20), st.integers(0, 20))
def test_a_start_never_skips_messages_without_a_discontinuity(
    resume_at: int, page: int, oldest: int, length: int
) -> None:
    newest = oldest + length - 1
    start = start_of(resume_at, page, topic_page=PAGE, oldest=oldest, newest=newest)
    assert oldest <= start.sequence <= newest + 1
    if start.missing is None and resume_at:
        assert start.sequence == resume_at
    if start.missing is not None:
        assert start.missing[1] == start.sequence - 1
