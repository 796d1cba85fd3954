"""Faults of a stage and what its conditions say of them: within 15 s of the fault, and no longer than 15 s after it."""

import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import condition, conditions, operator_world, wait_ready
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
    with operator_world({"LOG_LEVEL": "INFO"}) as world:
        world.install(world.place, RELEASE, **SIZES)
        wait_ready(world.place, RELEASE)
        stage = Broken(world)
        wait_until_sync(stage.is_whole, "all pods")
        yield stage


def told(broken: Broken, kind: str) -> tuple[str, str]:
    found = condition(broken.place, RELEASE, kind)
    return found.get("status", ""), found.get("reason", "")


def is_well(broken: Broken) -> bool:
    well = ("True", "Ready"), ("False", "NoProblem"), ("True", "Operating")
    return (told(broken, "Ready"), told(broken, "Degraded"), told(broken, "Scaling")) == well


def is_told(broken: Broken, fault: Fault) -> bool:
    degraded = condition(broken.place, RELEASE, "Degraded")
    expected = ("True", fault.degraded) if fault.degraded else ("False", "NoProblem")
    return (
        told(broken, "Ready") == fault.ready
        and (degraded["status"], degraded["reason"]) == expected
        and fault.part in degraded["message"]
        and told(broken, "Scaling") == fault.scaling
    )


def seen(broken: Broken) -> str:
    return str([(each["type"], each["status"], each["reason"], each["message"]) for each in _conditions(broken)])


def _conditions(broken: Broken) -> list[Object]:
    return conditions(broken.place, RELEASE)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_with_its_cause_and_taken_back(broken: Broken, fault: Fault) -> None:
    wait_until_sync(
        lambda: is_well(broken), lambda: f"all well before {fault.name}: {seen(broken)}", timeout_seconds=60
    )
    fault.begins(broken)
    began = time.monotonic()
    try:
        wait_until_sync(
            lambda: is_told(broken, fault), lambda: f"{fault.name}: {seen(broken)}", timeout_seconds=SECONDS
        )
        after = time.monotonic() - began
        shown = broken.place.kubectl("get", "stage", RELEASE, "-o", "wide")
        described = broken.place.kubectl("describe", "stage", RELEASE).partition("Status:")[2]
    finally:
        fault.ends(broken)
    ended = time.monotonic()
    wait_until_sync(lambda: is_well(broken), lambda: f"{fault.name}, mended: {seen(broken)}", timeout_seconds=SECONDS)
    over = time.monotonic() - ended
    sys.stdout.write(f"{fault.name}: told after {after:.1f} s, over after {over:.1f} s\n{shown}{described}")


def test_a_rolling_update_of_a_healthy_release_is_no_problem(broken: Broken) -> None:
    wait_until_sync(lambda: is_well(broken), lambda: f"all well: {seen(broken)}", timeout_seconds=60)
    before = len(events(broken.place))
    for component in REPLICAS:
        broken.place.kubectl("rollout", "restart", broken.deploy(component))
    wait_until_sync(broken.is_whole, "all pods new")
    assert is_well(broken), seen(broken)
    added = [each for each in events(broken.place)[before:] if each[0] not in ("ScaledOut", "ScaledIn")]
    assert added == []
