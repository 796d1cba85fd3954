"""Releases with the operator: helm install and uninstall, real pods, real tasks, scaling from zero and back."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.support.cluster.operator_on_cluster import (
    NOTHING,
    InstalledOperator,
    condition,
    conditions,
    installed_operator,
    is_deleted,
    names_of,
    wait_deleted,
    wait_ready,
)
from tests.support.cluster.tools import ClusterError, Namespace, run, wait_until_sync
from tests.support.helm_charts import STAGE_CHART, Object

pytestmark = pytest.mark.timeout(500)

READY_SECONDS = 15.0
"""The goal on an idle machine; on two shared cores pods start many times slower."""
REMOVED_SECONDS = 20.0
MAX_LOAD_FACTOR = 16.0


@pytest.fixture(scope="module")
def operator() -> Iterator[InstalledOperator]:
    with installed_operator() as installed:
        yield installed


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def load_factor() -> float:
    """By which factor at least the load on this machine slows a process down now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def replicas(namespace: Namespace, release: str) -> int:
    return int(namespace.get("deployment", f"{release}-processor")["spec"]["replicas"])


def events(namespace: Namespace, name: str, reason: str) -> list[str]:
    return [each["message"] for each in _events(namespace, name, reason)]


def _events(namespace: Namespace, name: str, reason: str) -> list[Object]:
    found = namespace.get("events")["items"]
    return [each for each in found if each["involvedObject"]["name"] == name and each["reason"] == reason]


def uninstall(operator: InstalledOperator, namespace: Namespace, release: str) -> float:
    began = time.monotonic()
    namespace.helm("uninstall", release)
    wait_deleted(namespace, release, 120)
    seconds = time.monotonic() - began
    assert operator.account(f"notification-api-{release}") == NOTHING
    return seconds


def test_three_releases_are_installed_and_uninstalled_together(operator: InstalledOperator) -> None:
    releases = ["pr-1", "pr-2", "pr-3"]
    began = time.monotonic()
    for namespace, release in zip(operator.namespaces, releases, strict=True):
        operator.install(namespace, release)
    for namespace, release in zip(operator.namespaces, releases, strict=True):
        wait_ready(namespace, release, seconds=READY_SECONDS * MAX_LOAD_FACTOR)
        say(f"{release}: ready {time.monotonic() - began:.1f} s after the first install began")
        assert operator.account(f"notification-api-{release}-") == {**names_of(release), "caches": []}
        # The parameter is dev's, as ssmStageName says.
        parameter = namespace.get("configmap", f"{release}-token")["data"]["MOMENTO_API_KEY_PARAM_NAME"]
        assert parameter == "/notification-api/dev/momento-api-key"
    for namespace, release in zip(operator.namespaces, releases, strict=True):
        say(f"{release}: removed in {uninstall(operator, namespace, release):.1f} s")
    for namespace in operator.namespaces:
        left = namespace.kubectl("get", "deployments,services,stages,networkpolicies", "-o", "name").split()
        assert left == []


def test_a_single_release_is_ready_and_removed_within_the_objectives(operator: InstalledOperator) -> None:
    """Repeated once if the first attempt was late, since other load on the machine may have been short."""
    for attempt in (1, 2):
        release, began, slower = f"alone-{attempt}", time.monotonic(), load_factor()
        operator.install(operator.namespace, release)
        wait_ready(operator.namespace, release, seconds=READY_SECONDS * MAX_LOAD_FACTOR)
        ready_after, slower = time.monotonic() - began, max(slower, load_factor())
        removed_after = uninstall(operator, operator.namespace, release)
        slower = max(slower, load_factor())
        say(f"alone: ready after {ready_after:.1f} s, removed in {removed_after:.1f} s, load factor {slower:.1f}")
        if ready_after <= READY_SECONDS * slower and removed_after <= REMOVED_SECONDS * slower:
            return
    pytest.fail("late twice")


def test_a_stage_deleted_before_its_release_waits_and_reports_it(operator: InstalledOperator) -> None:
    namespace = operator.namespace
    operator.install(namespace, "first", scaling={"minReplicas": 1})
    wait_ready(namespace, "first")
    wait_until_sync(lambda: namespace.of_component("first", "processor"), "a processor")
    namespace.kubectl("delete", "stage", "first", "--wait=false")
    wait_until_sync(
        lambda: condition(namespace, "first", "Ready").get("reason") == "WaitingForRelease",
        lambda: str(conditions(namespace, "first")),
    )
    assert f"helm uninstall first -n {namespace.name}" in condition(namespace, "first", "Ready")["message"]
    # Not only its processors: token and ingest use the user pool and the queue.
    namespace.kubectl("delete", "deployment", "first-processor")
    wait_until_sync(
        lambda: "(Deployments first-ingest, first-token)" in condition(namespace, "first", "Ready")["message"],
        lambda: str(conditions(namespace, "first")),
    )
    made = operator.account("notification-api-first")
    assert (made["queues"], made["pools"]) == (names_of("first")["queues"], names_of("first")["pools"])
    namespace.helm("uninstall", "first")
    wait_deleted(namespace, "first")
    assert operator.account("notification-api-first") == NOTHING


def test_a_retained_stage_deleted_by_mistake_is_restored_by_an_upgrade(operator: InstalledOperator) -> None:
    namespace = operator.namespace
    operator.install(namespace, "again", deletionPolicy="Retain")
    wait_ready(namespace, "again")
    before = namespace.get("configmap", "again-outputs")["data"]
    namespace.kubectl("delete", "stage", "again", seconds=60)
    namespace.kubectl("delete", "pod", "-l", "app.kubernetes.io/instance=again,app.kubernetes.io/component=token")
    namespace.kubectl("rollout", "status", "deployment/again-token", "--timeout=90s")

    namespace.helm("upgrade", "again", str(STAGE_CHART), values=operator.stage_values("again", deletionPolicy="Delete"))
    wait_ready(namespace, "again")
    assert namespace.get("configmap", "again-outputs")["data"] == before
    assert namespace.get("deployment", "again-token")["metadata"]["generation"] == 1
    uninstall(operator, namespace, "again")
    wait_until_sync(
        lambda: not namespace.kubectl("get", "configmap", "again-outputs", "--ignore-not-found"), "outputs deleted"
    )


def test_changed_outputs_restart_the_pods_and_first_outputs_do_not(operator: InstalledOperator) -> None:
    namespace = operator.namespace
    operator.install(namespace, "rolled")
    wait_ready(namespace, "rolled")
    assert namespace.get("deployment", "rolled-token")["metadata"]["generation"] == 1
    pool = namespace.get("stage", "rolled")["status"]["resources"]["userPoolId"]
    operator.aws(f"await idp.delete_user_pool(UserPoolId={pool!r})")
    wait_until_sync(
        lambda: namespace.get("configmap", "rolled-outputs")["data"]["USER_POOL_ID"] != pool,
        lambda: str(conditions(namespace, "rolled")),
    )
    wait_until_sync(lambda: namespace.get("deployment", "rolled-token")["metadata"]["generation"] == 2, "the roll")
    namespace.kubectl("rollout", "status", "deployment/rolled-ingest", "--timeout=90s")
    uninstall(operator, namespace, "rolled")


def test_scaling_from_zero_and_back_loses_and_repeats_no_notification(operator: InstalledOperator) -> None:
    namespace = operator.namespace
    processor = {"settings": {"ECHO_SECONDS": 1, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}}
    scaling = {"maxReplicas": 4, "scaleInStabilisationSeconds": 5}
    operator.install(namespace, "burst", processor=processor, scaling=scaling)
    wait_ready(namespace, "burst")
    wait_until_sync(lambda: replicas(namespace, "burst") == 0, lambda: f"idle: {conditions(namespace, 'burst')}")
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(operator.burst, namespace, "burst", 200)
        most = 0
        while not outcome.done():
            most = max(most, replicas(namespace, "burst"))
            say(namespace.kubectl("get", "stage", "burst", "-o", "wide", "--no-headers").strip())
            time.sleep(3)
    result = outcome.result()
    say(f"burst of 200: {result}, at most {most} replicas")
    assert (result["lost"], result["twice"]) == (0, 0)
    assert most > 1
    wait_until_sync(
        lambda: replicas(namespace, "burst") == 0,
        lambda: f"to zero: {namespace.get('stage', 'burst')['status']}",
        timeout_seconds=240,
    )
    out, back = events(namespace, "burst", "ScaledOut"), events(namespace, "burst", "ScaledIn")
    assert out
    assert back
    say("\n".join([*out, *back]))
    say(f"removed in {uninstall(operator, namespace, 'burst'):.1f} s, idle and without processors")


def test_scale_in_interrupts_no_long_task(operator: InstalledOperator) -> None:
    """Every task outlasts the grace period: if a busy pod were removed, its tasks would be redelivered."""
    namespace = operator.namespace
    operator.install(
        namespace,
        "tail",
        processor={"settings": {"ECHO_SECONDS": 15, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}},
        scaling={"maxReplicas": 4, "scaleInStabilisationSeconds": 5},
        shutdown={"processorGraceSeconds": 8},
    )
    wait_ready(namespace, "tail")
    redelivered: dict[str, float] = {}
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(operator.burst, namespace, "tail", 30, 300, tail=(14, 4.5))
        while not outcome.done():
            redelivered |= redelivered_messages(namespace, "tail")
            say(namespace.kubectl("get", "stage", "tail", "-o", "wide", "--no-headers").strip())
            time.sleep(2)
    result = outcome.result()
    removed_at = [
        datetime.fromisoformat(each["firstTimestamp"]).timestamp() for each in _events(namespace, "tail", "ScaledIn")
    ]
    say(f"long tasks: {result}, redelivered: {redelivered}, {events(namespace, 'tail', 'ScaledIn')}")
    assert (result["lost"], result["twice"]) == (0, 0)
    assert [at for at in removed_at if at < result["last_at"]], "no replica was removed while there were tasks"
    assert len(redelivered) > 1
    assert set(redelivered.values()) == {0.0}
    uninstall(operator, namespace, "tail")


def test_crashing_processors_are_scaled_in_to_one_until_they_are_corrected(operator: InstalledOperator) -> None:
    """From zero: replicas may be added before the first crash is observed."""
    namespace = operator.namespace
    settings = {"ECHO_SECONDS": 1, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}
    scaling = {"maxReplicas": 4, "scaleInStabilisationSeconds": 5}
    broken = {"settings": {**settings, "TASK_HANDLER": "nowhere:handle"}}
    operator.install(namespace, "crash", processor=broken, scaling=scaling)
    wait_ready(namespace, "crash")
    wait_until_sync(lambda: replicas(namespace, "crash") == 0, lambda: f"idle: {conditions(namespace, 'crash')}")
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(operator.burst, namespace, "crash", 60, 300)
        wait_until_sync(
            lambda: (
                replicas(namespace, "crash") == 1
                and condition(namespace, "crash", "Scaling").get("reason") == "ProcessorCrashLooping"
            ),
            lambda: f"one: {namespace.get('stage', 'crash')['status']}",
        )
        say("\n".join(events(namespace, "crash", "ScaledIn")))
        corrected = operator.stage_values("crash", processor={"settings": settings}, scaling=scaling)
        namespace.helm("upgrade", "crash", str(STAGE_CHART), values=corrected)
    result = outcome.result()
    say(f"burst of 60 through a processor that was corrected: {result}")
    assert (result["lost"], result["twice"]) == (0, 0)
    uninstall(operator, namespace, "crash")


def redelivered_messages(namespace: Namespace, release: str) -> dict[str, float]:
    """Redelivered messages by processor; pods that do not answer are left out."""
    code = (
        "import urllib.request; text = urllib.request.urlopen('http://127.0.0.1:9090/metrics').read().decode(); "
        "print([line.split()[1] for line in text.splitlines() if 'messages_redelivered_total ' in line][-1])"
    )
    found = {}
    for pod in namespace.of_component(release, "processor"):
        name = pod["metadata"]["name"]
        with contextlib.suppress(ClusterError):
            found[name] = float(namespace.python(f"pod/{name}", code))
    return found


def test_replicas_do_not_change_while_the_queue_cannot_be_read(operator: InstalledOperator) -> None:
    namespace = operator.namespace
    operator.install(namespace, "held", scaling={"minReplicas": 2, "maxReplicas": 3, "scaleInStabilisationSeconds": 1})
    wait_ready(namespace, "held")
    wait_until_sync(lambda: replicas(namespace, "held") == 2, "two processors")
    operator.unplug_aws()
    try:
        namespace.kubectl("patch", "stage", "held", "--type=merge", "-p", '{"spec":{"scaling":{"minReplicas":0}}}')
        wait_until_sync(
            lambda: condition(namespace, "held", "Scaling").get("reason") == "MetricsUnreadable",
            lambda: str(conditions(namespace, "held")),
        )
        time.sleep(15)  # far longer than the stabilisation time of a scale-in
        assert replicas(namespace, "held") == 2
    finally:
        operator.plug_in_aws()
    wait_until_sync(
        lambda: condition(namespace, "held", "Scaling").get("status") == "True",
        lambda: str(conditions(namespace, "held")),
    )
    wait_until_sync(
        lambda: replicas(namespace, "held") == 0,
        lambda: str(namespace.get("stage", "held")["status"]),
        timeout_seconds=240,
    )
    uninstall(operator, namespace, "held")


def test_keda_scales_from_zero_and_back_and_the_operator_does_not_scale(operator: InstalledOperator) -> None:
    if "scaledobjects.keda.sh" not in run("kubectl", "get", "crds", "-o", "name"):
        pytest.skip("no KEDA in this cluster")
    namespace = operator.namespace
    keda = {"queueLength": 20, "pollingIntervalSeconds": 2, "cooldownSeconds": 5}
    operator.install(namespace, "keda", scaling={"engine": "keda", "maxReplicas": 2, "keda": keda})
    wait_ready(namespace, "keda")
    assert condition(namespace, "keda", "Scaling")["reason"] == "ExternalScaling"
    wait_until_sync(
        lambda: replicas(namespace, "keda") == 0,
        lambda: str(namespace.get("scaledobject", "keda-processor").get("status")),
        timeout_seconds=180,
    )
    result = operator.burst(namespace, "keda", 40, 120)
    say(f"burst of 40 under KEDA: {result}")
    assert (result["lost"], result["twice"]) == (0, 0)
    wait_until_sync(
        lambda: replicas(namespace, "keda") == 0,
        lambda: str(namespace.get("scaledobject", "keda-processor")["status"]),
        timeout_seconds=180,
    )
    assert events(namespace, "keda", "ScaledOut") == []
    uninstall(operator, namespace, "keda")


def test_deleting_a_namespace_with_a_release_deletes_all_resources(operator: InstalledOperator) -> None:
    namespace = operator.deletable
    operator.install(namespace, "space")
    wait_ready(namespace, "space")
    namespace.kubectl("delete", "namespace", namespace.name, "--wait=false")
    wait_until_sync(lambda: is_deleted(namespace, "space"), "the Stage deleted")
    assert operator.account("notification-api-space") == NOTHING
    wait_until_sync(
        lambda: namespace.name not in run("kubectl", "get", "namespaces", "-o", "name"), "the namespace deleted"
    )
