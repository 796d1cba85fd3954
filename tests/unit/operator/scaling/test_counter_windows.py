"""Increases over a window of counters whose pods start, restart and end."""

from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.scaling.counter_windows import CounterWindow

NAME = "tasks_accepted_total"


def sample(value: float) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(NAME, ()): value}


def test_the_first_poll_counts_nothing() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(1000), False)])
    assert window.increase(NAME) == 0
    assert window.seconds() == 0


def test_the_increases_of_all_pods_are_added() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(10), False), ("b", sample(5), False)])
    window.add(10, [("a", sample(14), False), ("b", sample(6), False)])
    assert window.increase(NAME) == 5
    assert window.seconds() == 10


def test_a_reset_counter_counts_from_zero() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(100), False)])
    window.add(10, [("a", sample(3), False)])
    assert window.increase(NAME) == 3


def test_the_counters_of_a_new_pod_count_and_those_of_an_older_one_are_a_baseline() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(0), False)])
    window.add(10, [("a", sample(0), False), ("new", sample(7), True), ("old", sample(500), False)])
    assert window.increase(NAME) == 7


def test_the_increases_of_a_removed_pod_stay_until_the_window_has_passed() -> None:
    window = CounterWindow(30)
    window.add(0, [("a", sample(0), False)])
    window.add(10, [("a", sample(8), False)])
    window.add(20, [])
    assert window.increase(NAME) == 8
    window.add(50, [])
    assert window.increase(NAME) == 0


def test_labels_select_series() -> None:
    window = CounterWindow(60)
    name = "task_duration_seconds_count"
    failed, finished = (name, (("outcome", "failed"),)), (name, (("outcome", "finished"),))
    window.add(0, [("a", {failed: 0, finished: 0}, False)])
    window.add(10, [("a", {failed: 2, finished: 5}, False)])
    assert window.increase(name) == 7
    assert window.increase(name, outcome="failed") == 2


@given(steps=st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 50), st.booleans()), min_size=1, max_size=40))
def test_the_increase_is_exact_despite_restarts(
    steps: list[tuple[float, int, bool]],
) -> None:
    window, now, counter, expected = CounterWindow(1e9), 0.0, 0.0, 0
    window.add(now, [("a", sample(counter), False)])
    for seconds, tasks, restarts in steps:
        now += seconds
        # A restart only shows in a counter that is lower than before, so others are not tried.
        restarted = restarts and tasks < counter
        counter = float(tasks) if restarted else counter + tasks
        expected += tasks
        window.add(now, [("a", sample(counter), False)])
    assert window.increase(NAME) == expected
