"""The policy as the loop uses it, which polls every few seconds."""

import pytest

from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Memory, Observed, Policy
from k8s.operator.scaling.loop import effective_policy

POLL_SECONDS = 2.0


@pytest.mark.parametrize("asked", [0.0, 0.5, 1.0, 2.0, 5.0, 60.0])
def test_an_idle_stage_is_scaled_to_zero_with_any_stabilisation_time(asked: float) -> None:
    policy = effective_policy(Policy(scale_in_stabilisation_seconds=asked), None, POLL_SECONDS)
    replicas, memory, now = 2, Memory(), 0.0
    while replicas and now < 10 * max(asked, POLL_SECONDS):
        observed = Observed(
            backlog=0, in_flight=0, arrivals_per_second=0.0, replicas_desired=replicas, replicas_ready=replicas,
            tasks_by_pod={"a": 0, "b": 0}, memory=memory,
        )  # fmt: skip
        decision = desired_replicas(observed, policy, now)
        replicas, memory, now = decision.replicas, decision.memory, now + POLL_SECONDS
    assert replicas == 0


def test_the_slots_are_those_that_pods_report() -> None:
    assert effective_policy(Policy(slots_per_replica=20), 7, POLL_SECONDS).slots_per_replica == 7
    assert effective_policy(Policy(slots_per_replica=20), None, POLL_SECONDS).slots_per_replica == 20
