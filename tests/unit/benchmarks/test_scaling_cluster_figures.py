"""How the results of a burst on a real cluster are computed."""

from benchmarks.scaling.cluster import simulate, table
from benchmarks.scaling.cluster_run import Burst, Measured, PodRecord, _record_ready, count_requeued, waits_of

DEPTHS = [
    {"at": 0.0, "visible": 4, "in_flight": 0},
    {"at": 5.0, "visible": 2, "in_flight": 2},
    {"at": 6.0, "visible": 3, "in_flight": 1},
    {"at": 7.0, "visible": 1, "in_flight": 3},
    {"at": 9.0, "visible": 0, "in_flight": 1},
]


def test_a_task_waits_until_fewer_are_waiting() -> None:
    assert waits_of(DEPTHS, tasks=4) == [5.0, 5.0, 7.0, 9.0]


def test_a_task_that_waits_again_was_requeued() -> None:
    assert count_requeued(DEPTHS) == 1
    assert count_requeued([each for each in DEPTHS if each["at"] != 6.0]) == 0


def test_a_pod_is_ready_when_it_first_is() -> None:
    record = PodRecord()

    def pod(status: str, at: str) -> dict[str, object]:
        return {
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": at}]},
        }

    _record_ready(pod("False", "2026-01-01T00:00:01Z"), record)
    assert not record.ready_after
    _record_ready(pod("True", "2026-01-01T00:00:04Z"), record)
    _record_ready(pod("True", "2026-01-01T00:00:44Z"), record)
    assert record.ready_after == {"a": 4.0}


def test_the_table_puts_the_simulator_beside_the_cluster() -> None:
    burst = Burst(tasks=50)
    predicted = simulate("operator", burst, pod_ready_seconds=4.0)
    text = table({"operator": Measured(predicted, pod_ready_seconds=4.0, seconds_to_send=0.1)}, burst)
    assert "p95_wait_s +0%" in text
    assert "operator 4.0 s" in text
