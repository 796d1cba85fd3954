"""Counters of pods that come, go and begin anew, as increases over a window."""

from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.scaling.counter_windows import CounterWindow

NAME = "tasks_accepted_total"


def sample(value: float) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(NAME, ()): value}


def test_the_first_look_counts_nothing() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(1000), False)])
    assert window.increase(NAME) == 0
    assert window.seconds() == 0


def test_growth_of_all_pods_is_added_up() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(10), False), ("b", sample(5), False)])
    window.add(10, [("a", sample(14), False), ("b", sample(6), False)])
    assert window.increase(NAME) == 5
    assert window.seconds() == 10


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(100), False)])
    window.add(10, [("a", sample(3), False)])
    assert window.increase(NAME) == 3


def test_all_of_a_new_pod_counts_and_nothing_of_one_only_seen_for_the_first_time() -> None:
    window = CounterWindow(60)
    window.add(0, [("a", sample(0), False)])
    window.add(10, [("a", sample(0), False), ("new", sample(7), True), ("old", sample(500), False)])
    assert window.increase(NAME) == 7


def test_a_pod_that_goes_takes_nothing_away_until_the_window_has_passed() -> None:
    window = CounterWindow(30)
    window.add(0, [("a", sample(0), False)])
    window.add(10, [("a", sample(8), False)])
    window.add(20, [])
    assert window.increase(NAME) == 8
    window.add(50, [])
    assert window.increase(NAME) == 0


def test_labels_choose_among_series() -> None:
    window = CounterWindow(60)
    name = "task_duration_seconds_count"
    failed, finished = (name, (("outcome", "failed"),)), (name, (("outcome", "finished"),))
    window.add(0, [("a", {failed: 0, finished: 0}, False)])
    window.add(10, [("a", {failed: 2, finished: 5}, False)])
    assert window.increase(name) == 7
    assert window.increase(name, outcome="failed") == 2


@given(steps=st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 50), st.booleans()), min_size=1, max_size=40))
def test_what_was_counted_is_what_happened_whatever_restarts_there_were(
    steps: list[tuple[float, int, bool]],
) -> None:
    window, now, counter, happened = CounterWindow(1e9), 0.0, 0.0, 0
    window.add(now, [("a", sample(counter), False)])
    for seconds, tasks, restarts in steps:
        now += seconds
        # A restart is seen where the counter is lower than it was, so one that overtakes itself is not tried here.
        restarted = restarts and tasks < counter
        counter = float(tasks) if restarted else counter + tasks
        happened += tasks
        window.add(now, [("a", sample(counter), False)])
    assert window.increase(NAME) == happened
