"""Processors that do no work, on a real cluster: an image that cannot be pulled, and a Momento key that is refused."""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.cluster.operator_on_cluster import OperatorWorld, condition, conditions, operator_world, wait_ready
from tests.support.cluster.tools import Namespace, wait_until_sync
from tests.support.helm_charts import STAGE_CHART, Object

pytestmark = pytest.mark.timeout(500)

PROCESSOR: Object = {"settings": {"ECHO_SECONDS": 1, "CONCURRENCY": 2, "RECEIVE_WAIT_SECONDS": 1}}
MISSING = "does-not-exist"


@pytest.fixture(scope="module")
def world() -> Iterator[OperatorWorld]:
    with operator_world() as made:
        yield made


def replicas(place: Namespace, release: str) -> int:
    return int(place.get("deployment", f"{release}-processor")["spec"]["replicas"])


def ready_processors(place: Namespace, release: str) -> int:
    return int(place.get("deployment", f"{release}-processor")["status"].get("readyReplicas", 0))


def say(place: Namespace, release: str) -> None:
    sys.stdout.write(place.kubectl("get", "stage", release, "-o", "wide", "--no-headers"))
    sys.stdout.write(place.kubectl("get", "replicasets", "--no-headers"))


def upgrade(world: OperatorWorld, release: str, **values: Any) -> None:
    world.place.helm("upgrade", release, str(STAGE_CHART), values=world.stage_values(release, **values))


def test_the_healthy_revision_is_scaled_beside_one_whose_image_cannot_be_pulled(world: OperatorWorld) -> None:
    place, scaling = world.place, {"minReplicas": 1, "maxReplicas": 6, "scaleInStabilisationSeconds": 5}
    world.install(place, "bad", processor=PROCESSOR, scaling=scaling)
    wait_ready(place, "bad")
    wait_until_sync(lambda: ready_processors(place, "bad") == 1, "a processor")
    upgrade(world, "bad", processor=PROCESSOR, scaling=scaling, image={"tag": MISSING, "pullPolicy": "Never"})
    wait_until_sync(
        lambda: MISSING in place.kubectl("get", "pods", "-o", "wide") or _waits(place, "bad"), "a pod without image"
    )
    most, reasons = 0, set()
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(world.burst, place, "bad", 120)
        while not outcome.done():
            most = max(most, ready_processors(place, "bad"))
            reasons.add(condition(place, "bad", "Scaling").get("reason"))
            say(place, "bad")
            time.sleep(2)
    told = outcome.result()
    sys.stdout.write(f"burst of 120 beside a broken revision: {told}, at most {most} ready\n")
    assert (told["lost"], told["twice"]) == (0, 0)
    assert most >= 3
    assert "ProcessorCrashLooping" not in reasons
    place.helm("uninstall", "bad")


def _waits(place: Namespace, release: str) -> bool:
    for pod in place.of_component(release, "processor"):
        for container in pod["status"].get("containerStatuses", []):
            if container["state"].get("waiting", {}).get("reason") in {"ErrImageNeverPull", "ImagePullBackOff"}:
                return True
    return False


def test_from_zero_a_revision_whose_image_cannot_be_pulled_gets_one_replica_and_says_why(world: OperatorWorld) -> None:
    place, scaling = world.places[1], {"maxReplicas": 6, "scaleInStabilisationSeconds": 5}
    world.install(place, "none", processor=PROCESSOR, scaling=scaling)
    wait_ready(place, "none")
    wait_until_sync(lambda: replicas(place, "none") == 0, lambda: str(conditions(place, "none")))
    broken = world.stage_values("none", processor=PROCESSOR, scaling=scaling, image={"tag": MISSING})
    place.helm("upgrade", "none", str(STAGE_CHART), values=broken)
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(world.burst, place, "none", 60)
        wait_until_sync(
            lambda: condition(place, "none", "Scaling").get("reason") == "ProcessorCannotStart",
            lambda: str(conditions(place, "none")),
        )
        wait_until_sync(lambda: replicas(place, "none") == 1, lambda: str(conditions(place, "none")))
        message = condition(place, "none", "Scaling")["message"]
        sys.stdout.write(f"{message}\n")
        assert MISSING in message
        mended = world.stage_values("none", processor=PROCESSOR, scaling=scaling)
        place.helm("upgrade", "none", str(STAGE_CHART), values=mended)
    assert outcome.result()["lost"] == 0
    place.helm("uninstall", "none")


def momento_faults(world: OperatorWorld, *faults: Object) -> None:
    body = json.dumps({"faults": faults})
    world.home.python(
        "deployment/local-emulators",
        "import urllib.request as r; r.urlopen(r.Request("
        f"'http://127.0.0.1:{world.ports.base + 5}/_emulator/settings', {body!r}.encode(), "
        "{'x-emulator-admin': '1'}, method='PATCH'), timeout=5)",
        "momento",
    )


def test_a_refused_key_is_no_reason_for_more_processors_and_its_end_is(world: OperatorWorld) -> None:
    place, scaling = world.places[2], {"minReplicas": 1, "maxReplicas": 5, "scaleInStabilisationSeconds": 40}
    world.install(place, "key", processor=PROCESSOR, scaling=scaling)
    wait_ready(place, "key")
    wait_until_sync(lambda: ready_processors(place, "key") == 1, "a processor")
    with ThreadPoolExecutor(1) as pool:
        momento_faults(world, {"method": "Publish", "status": "UNAUTHENTICATED"})
        try:
            outcome = pool.submit(world.burst, place, "key", 80)
            wait_until_sync(
                lambda: condition(place, "key", "Scaling").get("reason") == "ReceivingPaused",
                lambda: str(conditions(place, "key")),
            )
            message = condition(place, "key", "Scaling")["message"]
            sys.stdout.write(f"{message}\n")
            assert "Momento refuses the API key" in message
            wait_until_sync(lambda: replicas(place, "key") == 1, lambda: str(conditions(place, "key")))
            time.sleep(10)  # five decisions
            assert replicas(place, "key") == 1, place.kubectl("get", "events", "--sort-by=.lastTimestamp")
        finally:
            momento_faults(world)
        most = 0
        while not outcome.done():
            most = max(most, replicas(place, "key"))
            say(place, "key")
            time.sleep(2)
    told = outcome.result()
    sys.stdout.write(f"burst of 80 through an outage: {told}, at most {most}\n")
    assert told["lost"] == 0
    assert most > 1
    place.helm("uninstall", "key")
