"""Erlang's formulas against closed forms and published values."""

import math

import pytest

from k8s.operator.policy.erlang import blocking_probability, wait_probability


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_one_slot_is_a_single_server_queue(load: float) -> None:
    """M/M/1: an arrival waits with the probability that the server is busy, for more than t with rho e^-(1-rho)t."""
    assert blocking_probability(1, load) == pytest.approx(load / (1 + load))
    assert wait_probability(1, load) == pytest.approx(load)
    assert wait_probability(1, load, 3.0) == pytest.approx(load * math.exp(-(1 - load) * 3.0))


@pytest.mark.parametrize(("slots", "load"), [(2, 1.0), (5, 4.0), (10, 9.5), (40, 30.0)])
def test_many_slots_are_the_sum_of_the_states(slots: int, load: float) -> None:
    states = [load**busy / math.factorial(busy) for busy in range(slots)]
    waiting = load**slots / math.factorial(slots) * slots / (slots - load)
    assert wait_probability(slots, load) == pytest.approx(waiting / (sum(states) + waiting))


def test_published_values() -> None:
    """Erlang B of 10 circuits at 4.4612 erlang is 1 %: any traffic table."""
    assert blocking_probability(10, 4.4612) == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("load", [3.0, 3.1, 1e6])
def test_every_task_waits_if_the_queue_grows(load: float) -> None:
    assert wait_probability(3, load, longer_than=100.0) == 1.0


def test_thousands_of_slots_do_not_overflow() -> None:
    assert 0 < wait_probability(20_000, 19_900.0) < 1
