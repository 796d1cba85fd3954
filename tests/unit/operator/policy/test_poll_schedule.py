"""When idle stages are polled."""

from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.policy.poll_schedule import EARLY_SHARE, seconds_until_idle_poll

times = st.floats(min_value=0, max_value=1e7)
periods = st.floats(min_value=0.2, max_value=300)


@given(periods, times, st.floats(min_value=0, max_value=300))
def test_idle_stages_are_polled_at_the_same_time(period: float, now: float, later: float) -> None:
    polls = [now + seconds_until_idle_poll(period, now), now + later + seconds_until_idle_poll(period, now + later)]
    distance = abs(polls[0] - polls[1]) / period
    assert abs(distance - round(distance)) < 1e-3


@given(periods, times)
def test_an_idle_stage_never_waits_much_longer_than_the_period(period: float, now: float) -> None:
    assert 0 < seconds_until_idle_poll(period, now) <= period * (1 + EARLY_SHARE)


@given(periods, st.integers(min_value=1, max_value=10_000), st.floats(min_value=1e-6, max_value=2e-3))
def test_a_timer_that_fires_early_does_not_poll_twice(period: float, count: int, early: float) -> None:
    assert seconds_until_idle_poll(period, period * count - early) >= period * 0.99
