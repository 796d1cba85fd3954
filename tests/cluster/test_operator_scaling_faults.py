"""Processors that do no work, on a real cluster: an image that cannot be pulled, and a Momento key that is refused."""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.cluster.operator_on_cluster import (
    InstalledOperator,
    condition,
    conditions,
    installed_operator,
    wait_ready,
)
from tests.support.cluster.tools import Namespace, wait_until_sync
from tests.support.helm_charts import STAGE_CHART, Object

pytestmark = pytest.mark.timeout(500)

PROCESSOR: Object = {"settings": {"ECHO_SECONDS": 1, "CONCURRENCY": 2, "RECEIVE_WAIT_SECONDS": 1}}
MISSING = "does-not-exist"


@pytest.fixture(scope="module")
def operator() -> Iterator[InstalledOperator]:
    with installed_operator() as installed:
        yield installed


def replicas(namespace: Namespace, release: str) -> int:
    return int(namespace.get("deployment", f"{release}-processor")["spec"]["replicas"])


def ready_processors(namespace: Namespace, release: str) -> int:
    return int(namespace.get("deployment", f"{release}-processor")["status"].get("readyReplicas", 0))


def say(namespace: Namespace, release: str) -> None:
    sys.stdout.write(namespace.kubectl("get", "stage", release, "-o", "wide", "--no-headers"))
    sys.stdout.write(namespace.kubectl("get", "replicasets", "--no-headers"))


def upgrade(operator: InstalledOperator, release: str, **values: Any) -> None:
    operator.namespace.helm("upgrade", release, str(STAGE_CHART), values=operator.stage_values(release, **values))


def test_the_healthy_revision_is_scaled_beside_one_whose_image_cannot_be_pulled(operator: InstalledOperator) -> None:
    namespace, scaling = operator.namespace, {"minReplicas": 1, "maxReplicas": 6, "scaleInStabilisationSeconds": 5}
    operator.install(namespace, "bad", processor=PROCESSOR, scaling=scaling)
    wait_ready(namespace, "bad")
    wait_until_sync(lambda: ready_processors(namespace, "bad") == 1, "a processor")
    upgrade(operator, "bad", processor=PROCESSOR, scaling=scaling, image={"tag": MISSING, "pullPolicy": "Never"})
    wait_until_sync(
        lambda: MISSING in namespace.kubectl("get", "pods", "-o", "wide") or _waits(namespace, "bad"),
        "a pod without image",
    )
    most, reasons = 0, set()
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(operator.burst, namespace, "bad", 120)
        while not outcome.done():
            most = max(most, ready_processors(namespace, "bad"))
            reasons.add(condition(namespace, "bad", "Scaling").get("reason"))
            say(namespace, "bad")
            time.sleep(2)
    result = outcome.result()
    sys.stdout.write(f"burst of 120 beside a broken revision: {result}, at most {most} ready\n")
    assert (result["lost"], result["twice"]) == (0, 0)
    assert most >= 3
    assert "ProcessorCrashLooping" not in reasons
    namespace.helm("uninstall", "bad")


def _waits(namespace: Namespace, release: str) -> bool:
    for pod in namespace.of_component(release, "processor"):
        for container in pod["status"].get("containerStatuses", []):
            if container["state"].get("waiting", {}).get("reason") in {"ErrImageNeverPull", "ImagePullBackOff"}:
                return True
    return False


def test_from_zero_a_revision_whose_image_cannot_be_pulled_gets_one_replica_and_a_reason(
    operator: InstalledOperator,
) -> None:
    namespace, scaling = operator.namespaces[1], {"maxReplicas": 6, "scaleInStabilisationSeconds": 5}
    operator.install(namespace, "none", processor=PROCESSOR, scaling=scaling)
    wait_ready(namespace, "none")
    wait_until_sync(lambda: replicas(namespace, "none") == 0, lambda: str(conditions(namespace, "none")))
    broken = operator.stage_values("none", processor=PROCESSOR, scaling=scaling, image={"tag": MISSING})
    namespace.helm("upgrade", "none", str(STAGE_CHART), values=broken)
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(operator.burst, namespace, "none", 60)
        wait_until_sync(
            lambda: condition(namespace, "none", "Scaling").get("reason") == "ProcessorCannotStart",
            lambda: str(conditions(namespace, "none")),
        )
        wait_until_sync(lambda: replicas(namespace, "none") == 1, lambda: str(conditions(namespace, "none")))
        message = condition(namespace, "none", "Scaling")["message"]
        sys.stdout.write(f"{message}\n")
        assert MISSING in message
        corrected = operator.stage_values("none", processor=PROCESSOR, scaling=scaling)
        namespace.helm("upgrade", "none", str(STAGE_CHART), values=corrected)
    assert outcome.result()["lost"] == 0
    namespace.helm("uninstall", "none")


def momento_faults(operator: InstalledOperator, *faults: Object) -> None:
    body = json.dumps({"faults": faults})
    operator.home.python(
        "deployment/local-emulators",
        "import urllib.request as r; r.urlopen(r.Request("
        f"'http://127.0.0.1:{operator.ports.base + 5}/_emulator/settings', {body!r}.encode(), "
        "{'x-emulator-admin': '1'}, method='PATCH'), timeout=5)",
        "momento",
    )


def test_processors_are_added_only_once_the_refused_key_is_accepted_again(operator: InstalledOperator) -> None:
    namespace, scaling = operator.namespaces[2], {"minReplicas": 1, "maxReplicas": 5, "scaleInStabilisationSeconds": 40}
    operator.install(namespace, "key", processor=PROCESSOR, scaling=scaling)
    wait_ready(namespace, "key")
    wait_until_sync(lambda: ready_processors(namespace, "key") == 1, "a processor")
    with ThreadPoolExecutor(1) as pool:
        momento_faults(operator, {"method": "Publish", "status": "UNAUTHENTICATED"})
        try:
            outcome = pool.submit(operator.burst, namespace, "key", 80)
            wait_until_sync(
                lambda: condition(namespace, "key", "Scaling").get("reason") == "ReceivingPaused",
                lambda: str(conditions(namespace, "key")),
            )
            message = condition(namespace, "key", "Scaling")["message"]
            sys.stdout.write(f"{message}\n")
            assert "Momento refuses the API key" in message
            wait_until_sync(lambda: replicas(namespace, "key") == 1, lambda: str(conditions(namespace, "key")))
            time.sleep(10)  # five scaling decisions
            assert replicas(namespace, "key") == 1, namespace.kubectl("get", "events", "--sort-by=.lastTimestamp")
        finally:
            momento_faults(operator)
        most = 0
        while not outcome.done():
            most = max(most, replicas(namespace, "key"))
            say(namespace, "key")
            time.sleep(2)
    result = outcome.result()
    sys.stdout.write(f"burst of 80 through an outage: {result}, at most {most}\n")
    assert result["lost"] == 0
    assert most > 1
    namespace.helm("uninstall", "key")
