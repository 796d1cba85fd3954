"""The pauses between retries."""

from hypothesis import given
from hypothesis import strategies as st

from services.common.backoff import Backoff, backoff_seconds

SHARES = st.sampled_from((0.0, 0.25, 0.5, 1.0))


@given(
    failures=st.integers(1, 10**6),
    base=st.floats(0.1, 10),
    cap=st.floats(10, 100),
    growth=st.sampled_from((2.0, 3.0)),
    share=SHARES,
)
def test_a_pause_grows_up_to_the_cap_with_jitter(
    failures: int, base: float, cap: float, growth: float, share: float
) -> None:
    longest = min(cap, base * growth ** min(failures - 1, 60))
    pause = backoff_seconds(failures, base_seconds=base, cap_seconds=cap, growth=growth, least_share=share)
    assert longest * share <= pause <= longest


def test_a_pause_doubles_by_default() -> None:
    pauses = [backoff_seconds(number, base_seconds=1, cap_seconds=60, least_share=1) for number in (1, 2, 3)]
    assert pauses == [1, 2, 4]


def test_clients_that_failed_together_do_not_retry_together() -> None:
    assert len({backoff_seconds(5, base_seconds=0.25, cap_seconds=5) for _ in range(20)}) > 15


def test_the_jitter_is_drawn_between_the_share_and_the_longest_pause() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert backoff_seconds(3, base_seconds=1, cap_seconds=60, least_share=0.25, uniform=uniform) == 1
    assert drawn == [(1, 4)]


@given(failures=st.integers(0, 100), base=st.floats(0.1, 10), cap=st.floats(10, 100))
def test_a_loop_counts_its_failures(failures: int, base: float, cap: float) -> None:
    backoff = Backoff(base, cap)
    for _ in range(failures):
        backoff.next_seconds()
    longest = min(cap, base * 2.0**failures)
    assert longest / 2 <= backoff.next_seconds() <= longest


def test_a_pause_is_never_shorter_than_asked_for() -> None:
    assert Backoff(1, 60).next_seconds(at_least=300) == 300


def test_a_success_resets_the_pauses() -> None:
    backoff = Backoff(1, 60)
    is_failing = [backoff.is_failing]
    for _ in range(10):
        backoff.next_seconds()
    is_failing.append(backoff.is_failing)
    backoff.reset()
    is_failing.append(backoff.is_failing)
    assert is_failing == [False, True, False]
    assert backoff.next_seconds() <= 1
