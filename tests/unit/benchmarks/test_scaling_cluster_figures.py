"""How the burst on a real cluster is turned into figures."""

from benchmarks.scaling.cluster import simulated, table
from benchmarks.scaling.cluster_run import Burst, Measured, Pods, _note_ready, handed_back, waits_of

DEPTHS = [
    {"at": 0.0, "visible": 4, "in_flight": 0},
    {"at": 5.0, "visible": 2, "in_flight": 2},
    {"at": 6.0, "visible": 3, "in_flight": 1},
    {"at": 7.0, "visible": 1, "in_flight": 3},
    {"at": 9.0, "visible": 0, "in_flight": 1},
]


def test_a_task_waits_until_fewer_are_waiting() -> None:
    assert waits_of(DEPTHS, tasks=4) == [5.0, 5.0, 7.0, 9.0]


def test_a_task_that_waits_again_was_handed_back() -> None:
    assert handed_back(DEPTHS) == 1
    assert handed_back([each for each in DEPTHS if each["at"] != 6.0]) == 0


def test_a_pod_is_ready_when_it_first_says_so() -> None:
    seen = Pods()

    def pod(status: str, at: str) -> dict[str, object]:
        return {
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": at}]},
        }

    _note_ready(pod("False", "2026-01-01T00:00:01Z"), seen)
    assert not seen.ready_after
    _note_ready(pod("True", "2026-01-01T00:00:04Z"), seen)
    _note_ready(pod("True", "2026-01-01T00:00:44Z"), seen)
    assert seen.ready_after == {"a": 4.0}


def test_the_table_puts_the_simulator_beside_the_cluster() -> None:
    burst = Burst(tasks=50)
    predicted = simulated("ours", burst, pod_ready_seconds=4.0)
    told = table({"ours": Measured(predicted, pod_ready_seconds=4.0, seconds_to_send=0.1)}, burst)
    assert "p95_wait_s +0%" in told
    assert "ours 4.0 s" in told
