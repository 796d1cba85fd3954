"""Whole releases under the operator: helm install and uninstall, real pods, real tasks, from zero and back."""

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
    OperatorWorld,
    condition,
    conditions,
    is_gone,
    names_of,
    operator_world,
    wait_gone,
    wait_ready,
)
from tests.support.cluster.tools import ClusterError, Namespace, run, wait_until_sync
from tests.support.helm_charts import STAGE_CHART, Object

pytestmark = pytest.mark.timeout(500)

READY_SECONDS = 15.0
"""The goal on an unburdened machine; a test that shares two cores with others starts pods many times slower."""
REMOVED_SECONDS = 20.0
BURDEN = 16.0


@pytest.fixture(scope="module")
def world() -> Iterator[OperatorWorld]:
    with operator_world() as made:
        yield made


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def burden() -> float:
    """How many times slower than alone a process is on this machine now, at least."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def replicas(place: Namespace, release: str) -> int:
    return int(place.get("deployment", f"{release}-processor")["spec"]["replicas"])


def events(place: Namespace, name: str, reason: str) -> list[str]:
    return [each["message"] for each in _events(place, name, reason)]


def _events(place: Namespace, name: str, reason: str) -> list[Object]:
    found = place.get("events")["items"]
    return [each for each in found if each["involvedObject"]["name"] == name and each["reason"] == reason]


def uninstall(world: OperatorWorld, place: Namespace, release: str) -> float:
    began = time.monotonic()
    place.helm("uninstall", release)
    wait_gone(place, release, 120)
    seconds = time.monotonic() - began
    assert world.account(f"notification-api-{release}") == NOTHING
    return seconds


def test_three_releases_at_once_come_and_go(world: OperatorWorld) -> None:
    releases = ["pr-1", "pr-2", "pr-3"]
    began = time.monotonic()
    for place, release in zip(world.places, releases, strict=True):
        world.install(place, release)
    for place, release in zip(world.places, releases, strict=True):
        wait_ready(place, release, seconds=READY_SECONDS * BURDEN)
        say(f"{release}: ready {time.monotonic() - began:.1f} s after the first install began")
        assert world.account(f"notification-api-{release}-") == {**names_of(release), "caches": []}
        # The parameter is dev's, as ssmStageName says.
        parameter = place.get("configmap", f"{release}-token")["data"]["MOMENTO_API_KEY_PARAM_NAME"]
        assert parameter == "/notification-api/dev/momento-api-key"
    for place, release in zip(world.places, releases, strict=True):
        say(f"{release}: removed in {uninstall(world, place, release):.1f} s")
    for place in world.places:
        left = place.kubectl("get", "deployments,services,stages,networkpolicies", "-o", "name").split()
        assert left == []


def test_a_release_alone_is_ready_and_removed_within_the_goals(world: OperatorWorld) -> None:
    """Once more where the first try was late: whatever else the machine did may have been over in a moment."""
    for attempt in (1, 2):
        release, began, slower = f"alone-{attempt}", time.monotonic(), burden()
        world.install(world.place, release)
        wait_ready(world.place, release, seconds=READY_SECONDS * BURDEN)
        ready_after, slower = time.monotonic() - began, max(slower, burden())
        removed_after = uninstall(world, world.place, release)
        slower = max(slower, burden())
        say(f"alone: ready after {ready_after:.1f} s, removed in {removed_after:.1f} s, burden {slower:.1f}")
        if ready_after <= READY_SECONDS * slower and removed_after <= REMOVED_SECONDS * slower:
            return
    pytest.fail("late twice")


def test_a_stage_deleted_first_waits_for_its_release_and_says_so(world: OperatorWorld) -> None:
    place = world.place
    world.install(place, "first", scaling={"minReplicas": 1})
    wait_ready(place, "first")
    wait_until_sync(lambda: place.of_component("first", "processor"), "a processor")
    place.kubectl("delete", "stage", "first", "--wait=false")
    wait_until_sync(
        lambda: condition(place, "first", "Ready").get("reason") == "WaitingForRelease",
        lambda: str(conditions(place, "first")),
    )
    assert f"helm uninstall first -n {place.name}" in condition(place, "first", "Ready")["message"]
    # Not its processors alone: token and ingest use the user pool and the queue.
    place.kubectl("delete", "deployment", "first-processor")
    wait_until_sync(
        lambda: "(Deployments first-ingest, first-token)" in condition(place, "first", "Ready")["message"],
        lambda: str(conditions(place, "first")),
    )
    made = world.account("notification-api-first")
    assert (made["queues"], made["pools"]) == (names_of("first")["queues"], names_of("first")["pools"])
    place.helm("uninstall", "first")
    wait_gone(place, "first")
    assert world.account("notification-api-first") == NOTHING


def test_a_retained_stage_deleted_by_mistake_is_made_anew_under_its_release(world: OperatorWorld) -> None:
    place = world.place
    world.install(place, "anew", deletionPolicy="Retain")
    wait_ready(place, "anew")
    before = place.get("configmap", "anew-outputs")["data"]
    place.kubectl("delete", "stage", "anew", seconds=60)
    place.kubectl("delete", "pod", "-l", "app.kubernetes.io/instance=anew,app.kubernetes.io/component=token")
    place.kubectl("rollout", "status", "deployment/anew-token", "--timeout=90s")

    place.helm("upgrade", "anew", str(STAGE_CHART), values=world.stage_values("anew", deletionPolicy="Delete"))
    wait_ready(place, "anew")
    assert place.get("configmap", "anew-outputs")["data"] == before
    assert place.get("deployment", "anew-token")["metadata"]["generation"] == 1
    uninstall(world, place, "anew")
    wait_until_sync(lambda: not place.kubectl("get", "configmap", "anew-outputs", "--ignore-not-found"), "outputs gone")


def test_outputs_that_change_roll_the_pods_and_the_first_do_not(world: OperatorWorld) -> None:
    place = world.place
    world.install(place, "rolled")
    wait_ready(place, "rolled")
    assert place.get("deployment", "rolled-token")["metadata"]["generation"] == 1
    pool = place.get("stage", "rolled")["status"]["resources"]["userPoolId"]
    world.aws(f"await idp.delete_user_pool(UserPoolId={pool!r})")
    wait_until_sync(
        lambda: place.get("configmap", "rolled-outputs")["data"]["USER_POOL_ID"] != pool,
        lambda: str(conditions(place, "rolled")),
    )
    wait_until_sync(lambda: place.get("deployment", "rolled-token")["metadata"]["generation"] == 2, "the roll")
    place.kubectl("rollout", "status", "deployment/rolled-ingest", "--timeout=90s")
    uninstall(world, place, "rolled")


def test_from_zero_to_many_and_back_with_nothing_lost_and_nobody_told_twice(world: OperatorWorld) -> None:
    place = world.place
    processor = {"settings": {"ECHO_SECONDS": 1, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}}
    scaling = {"maxReplicas": 4, "scaleInStabilisationSeconds": 5}
    world.install(place, "burst", processor=processor, scaling=scaling)
    wait_ready(place, "burst")
    wait_until_sync(lambda: replicas(place, "burst") == 0, lambda: f"at rest: {conditions(place, 'burst')}")
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(world.burst, place, "burst", 200)
        most = 0
        while not outcome.done():
            most = max(most, replicas(place, "burst"))
            say(place.kubectl("get", "stage", "burst", "-o", "wide", "--no-headers").strip())
            time.sleep(3)
    told = outcome.result()
    say(f"burst of 200: {told}, at most {most} replicas")
    assert (told["lost"], told["twice"]) == (0, 0)
    assert most > 1
    wait_until_sync(
        lambda: replicas(place, "burst") == 0,
        lambda: f"to zero: {place.get('stage', 'burst')['status']}",
        timeout_seconds=240,
    )
    out, back = events(place, "burst", "ScaledOut"), events(place, "burst", "ScaledIn")
    assert out
    assert back
    say("\n".join([*out, *back]))
    say(f"removed in {uninstall(world, place, 'burst'):.1f} s, idle and without processors")


def test_a_scale_in_under_long_tasks_cuts_none_of_them_off(world: OperatorWorld) -> None:
    """Every task is longer than the grace of a pod that goes: had a busy one to go, its tasks would come again."""
    place = world.place
    world.install(
        place,
        "tail",
        processor={"settings": {"ECHO_SECONDS": 15, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}},
        scaling={"maxReplicas": 4, "scaleInStabilisationSeconds": 5},
        shutdown={"processorGraceSeconds": 8},
    )
    wait_ready(place, "tail")
    redelivered: dict[str, float] = {}
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(world.burst, place, "tail", 30, 300, tail=(14, 4.5))
        while not outcome.done():
            redelivered |= came_again(place, "tail")
            say(place.kubectl("get", "stage", "tail", "-o", "wide", "--no-headers").strip())
            time.sleep(2)
    told = outcome.result()
    gone = [datetime.fromisoformat(each["firstTimestamp"]).timestamp() for each in _events(place, "tail", "ScaledIn")]
    say(f"long tasks: {told}, came again: {redelivered}, {events(place, 'tail', 'ScaledIn')}")
    assert (told["lost"], told["twice"]) == (0, 0)
    assert [at for at in gone if at < told["last_at"]], "none went while there were tasks"
    assert len(redelivered) > 1
    assert set(redelivered.values()) == {0.0}
    uninstall(world, place, "tail")


def test_processors_that_crash_go_down_to_one_until_they_are_mended(world: OperatorWorld) -> None:
    """From zero, where some may be asked for before anything shows that they are broken."""
    place = world.place
    settings = {"ECHO_SECONDS": 1, "CONCURRENCY": 5, "RECEIVE_WAIT_SECONDS": 1}
    scaling = {"maxReplicas": 4, "scaleInStabilisationSeconds": 5}
    broken = {"settings": {**settings, "TASK_HANDLER": "nowhere:handle"}}
    world.install(place, "crash", processor=broken, scaling=scaling)
    wait_ready(place, "crash")
    wait_until_sync(lambda: replicas(place, "crash") == 0, lambda: f"at rest: {conditions(place, 'crash')}")
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(world.burst, place, "crash", 60, 300)
        wait_until_sync(
            lambda: (
                replicas(place, "crash") == 1
                and condition(place, "crash", "Scaling").get("reason") == "ProcessorCrashLooping"
            ),
            lambda: f"one: {place.get('stage', 'crash')['status']}",
        )
        say("\n".join(events(place, "crash", "ScaledIn")))
        mended = world.stage_values("crash", processor={"settings": settings}, scaling=scaling)
        place.helm("upgrade", "crash", str(STAGE_CHART), values=mended)
    told = outcome.result()
    say(f"burst of 60 through a processor that was mended: {told}")
    assert (told["lost"], told["twice"]) == (0, 0)
    uninstall(world, place, "crash")


def came_again(place: Namespace, release: str) -> dict[str, float]:
    """Messages that had been received before, by processor; those that cannot tell are left out."""
    code = (
        "import urllib.request; text = urllib.request.urlopen('http://127.0.0.1:9090/metrics').read().decode(); "
        "print([line.split()[1] for line in text.splitlines() if 'messages_redelivered_total ' in line][-1])"
    )
    found = {}
    for pod in place.of_component(release, "processor"):
        name = pod["metadata"]["name"]
        with contextlib.suppress(ClusterError):
            found[name] = float(place.python(f"pod/{name}", code))
    return found


def test_replicas_are_held_while_the_queue_cannot_be_read(world: OperatorWorld) -> None:
    place = world.place
    world.install(place, "held", scaling={"minReplicas": 2, "maxReplicas": 3, "scaleInStabilisationSeconds": 1})
    wait_ready(place, "held")
    wait_until_sync(lambda: replicas(place, "held") == 2, "two processors")
    world.unplug_aws()
    try:
        place.kubectl("patch", "stage", "held", "--type=merge", "-p", '{"spec":{"scaling":{"minReplicas":0}}}')
        wait_until_sync(
            lambda: condition(place, "held", "Scaling").get("reason") == "MetricsUnreadable",
            lambda: str(conditions(place, "held")),
        )
        time.sleep(15)  # far longer than any scale-in would wait
        assert replicas(place, "held") == 2
    finally:
        world.plug_in_aws()
    wait_until_sync(
        lambda: condition(place, "held", "Scaling").get("status") == "True", lambda: str(conditions(place, "held"))
    )
    wait_until_sync(
        lambda: replicas(place, "held") == 0, lambda: str(place.get("stage", "held")["status"]), timeout_seconds=240
    )
    uninstall(world, place, "held")


def test_keda_scales_from_zero_and_back_and_the_operator_keeps_its_hands_off(world: OperatorWorld) -> None:
    if "scaledobjects.keda.sh" not in run("kubectl", "get", "crds", "-o", "name"):
        pytest.skip("no KEDA in this cluster")
    place = world.place
    keda = {"queueLength": 20, "pollingIntervalSeconds": 2, "cooldownSeconds": 5}
    world.install(place, "keda", scaling={"engine": "keda", "maxReplicas": 2, "keda": keda})
    wait_ready(place, "keda")
    assert condition(place, "keda", "Scaling")["reason"] == "ExternalScaling"
    wait_until_sync(
        lambda: replicas(place, "keda") == 0,
        lambda: str(place.get("scaledobject", "keda-processor").get("status")),
        timeout_seconds=180,
    )
    told = world.burst(place, "keda", 40, 120)
    say(f"burst of 40 under KEDA: {told}")
    assert (told["lost"], told["twice"]) == (0, 0)
    wait_until_sync(
        lambda: replicas(place, "keda") == 0,
        lambda: str(place.get("scaledobject", "keda-processor")["status"]),
        timeout_seconds=180,
    )
    assert events(place, "keda", "ScaledOut") == []
    uninstall(world, place, "keda")


def test_a_namespace_deleted_with_a_release_in_it_goes_with_all_that_was_made(world: OperatorWorld) -> None:
    place = world.places[2]
    world.install(place, "space")
    wait_ready(place, "space")
    place.kubectl("delete", "namespace", place.name, "--wait=false")
    wait_until_sync(lambda: is_gone(place, "space"), "the Stage gone")
    assert world.account("notification-api-space") == NOTHING
    wait_until_sync(lambda: place.name not in run("kubectl", "get", "namespaces", "-o", "name"), "the namespace gone")
