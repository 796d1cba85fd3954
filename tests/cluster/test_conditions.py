"""The conditions of a Stage report each fault within 15 s, and its end within 15 s."""

import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import condition, conditions, installed_operator, wait_ready
from tests.support.cluster.stage_faults import FAULTS, RELEASE, REPLICAS, Broken, Fault, events
from tests.support.cluster.tools import wait_until_sync
from tests.support.helm_charts import Object

pytestmark = pytest.mark.timeout(240)

SECONDS = 15.0
SIZES: Object = {
    **{component: {"replicas": REPLICAS[component]} for component in ("token", "ingest")},
    "scaling": {"minReplicas": REPLICAS["processor"], "maxReplicas": 2},
}


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    with installed_operator({"LOG_LEVEL": "INFO"}) as operator:
        operator.install(operator.namespace, RELEASE, **SIZES)
        wait_ready(operator.namespace, RELEASE)
        stage = Broken(operator)
        wait_until_sync(stage.has_all_pods_ready, "all pods")
        yield stage


def status_and_reason(broken: Broken, kind: str) -> tuple[str, str]:
    found = condition(broken.namespace, RELEASE, kind)
    return found.get("status", ""), found.get("reason", "")


def is_healthy(broken: Broken) -> bool:
    return has_no_problem(broken) and status_and_reason(broken, "Scaling") == ("True", "Operating")


def has_no_problem(broken: Broken) -> bool:
    return (status_and_reason(broken, "Ready"), status_and_reason(broken, "Degraded")) == (
        ("True", "Ready"),
        ("False", "NoProblem"),
    )


def is_reported(broken: Broken, fault: Fault) -> bool:
    degraded = condition(broken.namespace, RELEASE, "Degraded")
    expected = ("True", fault.degraded) if fault.degraded else ("False", "NoProblem")
    return (
        status_and_reason(broken, "Ready") == fault.ready
        and (degraded["status"], degraded["reason"]) == expected
        and fault.part in degraded["message"]
        and status_and_reason(broken, "Scaling") == fault.scaling
    )


def described(broken: Broken) -> str:
    return str([(each["type"], each["status"], each["reason"], each["message"]) for each in _conditions(broken)])


def _conditions(broken: Broken) -> list[Object]:
    return conditions(broken.namespace, RELEASE)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_reported_with_its_cause_until_it_ends(broken: Broken, fault: Fault) -> None:
    wait_until_sync(
        lambda: is_healthy(broken), lambda: f"healthy before {fault.name}: {described(broken)}", timeout_seconds=60
    )
    fault.begins(broken)
    began = time.monotonic()
    try:
        wait_until_sync(
            lambda: is_reported(broken, fault), lambda: f"{fault.name}: {described(broken)}", timeout_seconds=SECONDS
        )
        after = time.monotonic() - began
        shown = broken.namespace.kubectl("get", "stage", RELEASE, "-o", "wide")
        description = broken.namespace.kubectl("describe", "stage", RELEASE).partition("Status:")[2]
    finally:
        fault.ends(broken)
    ended = time.monotonic()
    wait_until_sync(
        lambda: is_healthy(broken), lambda: f"{fault.name}, corrected: {described(broken)}", timeout_seconds=SECONDS
    )
    over = time.monotonic() - ended
    sys.stdout.write(f"{fault.name}: reported after {after:.1f} s, over after {over:.1f} s\n{shown}{description}")


def test_a_rolling_update_of_a_healthy_release_is_no_problem(broken: Broken) -> None:
    wait_until_sync(lambda: is_healthy(broken), lambda: f"healthy: {described(broken)}", timeout_seconds=60)
    before = events(broken.namespace)
    for component in REPLICAS:
        broken.namespace.kubectl("rollout", "restart", broken.deploy(component))
    wait_until_sync(broken.has_all_pods_ready, "all pods new")
    assert has_no_problem(broken), described(broken)
    # A pod that starts or stops on a busy node may miss one poll of the metrics. The next poll reads them.
    wait_until_sync(lambda: is_healthy(broken), lambda: f"healthy: {described(broken)}", timeout_seconds=SECONDS)
    added = [event for name, event in events(broken.namespace).items() if name not in before]
    # A problem posts its own Event first. "Recovered" alone is the end of one from before the update.
    assert [each for each in added if each[0] not in ("ScaledOut", "ScaledIn", "Recovered")] == []
