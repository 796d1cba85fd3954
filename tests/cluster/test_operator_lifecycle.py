"""Stages made, kept and removed by the operator on the real cluster, in every order that people find."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import (
    NOTHING,
    RESYNC_SECONDS,
    OperatorWorld,
    condition,
    conditions,
    is_gone,
    is_made,
    names_of,
    operator_world,
    stage,
    wait_gone,
    wait_made,
)
from tests.support.cluster.tools import wait_until_sync

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def world() -> Iterator[OperatorWorld]:
    with operator_world() as made:
        yield made


def events(world: OperatorWorld, name: str) -> list[str]:
    found = world.place.get("events")["items"]
    return [each["reason"] for each in found if each["involvedObject"]["name"] == name]


def test_a_stage_is_made_as_its_resource_says_and_removed_without_a_trace(world: OperatorWorld) -> None:
    world.place.apply(stage("alone"))
    wait_made(world.place, "alone")
    assert world.account("notification-api-alone") == names_of("alone")
    data = world.place.get("configmap", "alone-outputs")["data"]
    assert data["TASK_QUEUE_URL"].endswith("/notification-api-alone-tasks")
    assert data["MOMENTO_CACHE_NAME"] == "notification-api-alone"
    status = world.place.get("stage", "alone")["status"]
    assert status["observedGeneration"] == 1
    assert status["resources"]["queueUrl"] == data["TASK_QUEUE_URL"]
    wait_until_sync(
        lambda: condition(world.place, "alone", "Ready").get("reason") == "NoDeployments",
        lambda: str(conditions(world.place, "alone")),
    )
    world.place.kubectl("delete", "stage", "alone", seconds=60)
    assert world.account("notification-api-alone") == NOTHING
    wait_until_sync(
        lambda: not world.place.kubectl("get", "configmap", "alone-outputs", "--ignore-not-found"), "outputs gone"
    )
    assert {"Changed", "Removed"} <= set(events(world, "alone"))


def test_a_pass_over_an_unchanged_stage_writes_nothing(world: OperatorWorld) -> None:
    world.place.apply(stage("still"))
    wait_made(world.place, "still")
    wait_until_sync(lambda: condition(world.place, "still", "Scaling"), "the first look at its work")
    writes = 'notification_api_operator_kubernetes_calls_total{outcome="ok",verb="P'
    time.sleep(2 * RESYNC_SECONDS)  # whatever its making still entails
    version = world.place.get("stage", "still")["metadata"]["resourceVersion"]
    before = [world.operator_metric(name) for name in (writes, "notification_api_operator_changes_total")]
    reconciles = 'notification_api_operator_reconciles_total{kind="provision",outcome="ok"}'
    done = world.operator_metric(reconciles)
    wait_until_sync(lambda: world.operator_metric(reconciles) >= done + 3, "three more reconciles")
    assert [world.operator_metric(name) for name in (writes, "notification_api_operator_changes_total")] == before
    assert world.place.get("stage", "still")["metadata"]["resourceVersion"] == version
    world.place.kubectl("delete", "stage", "still", seconds=60)


def test_drift_is_mended(world: OperatorWorld) -> None:
    world.place.apply(stage("drift"))
    wait_made(world.place, "drift")
    url = world.place.get("stage", "drift")["status"]["resources"]["queueUrl"]
    world.aws(f"await sqs.set_queue_attributes(QueueUrl={url!r}, Attributes={{'VisibilityTimeout': '7'}})")
    ask = f"sqs.get_queue_attributes(QueueUrl={url!r}, AttributeNames=['VisibilityTimeout'])"
    read = f"print((await {ask})['Attributes']['VisibilityTimeout'])"
    wait_until_sync(lambda: world.aws(read).strip() == "30", "the visibility timeout mended")
    world.aws(f"await sqs.delete_queue(QueueUrl={url!r})")
    wait_until_sync(
        lambda: world.account("notification-api-drift") == names_of("drift"),
        lambda: f"the queue made again: {condition(world.place, 'drift', 'Degraded')}",
    )
    world.place.kubectl("delete", "stage", "drift", seconds=60)
    assert world.account("notification-api-drift") == NOTHING


def test_a_queue_of_somebody_else_is_neither_taken_nor_deleted_until_adopted(world: OperatorWorld) -> None:
    world.aws("await sqs.create_queue(QueueName='notification-api-foreign-tasks')")
    world.place.apply(stage("foreign"))
    wait_until_sync(
        lambda: condition(world.place, "foreign", "Provisioned").get("reason") == "NotOwned",
        lambda: str(condition(world.place, "foreign", "Provisioned")),
    )
    assert "adopt" in condition(world.place, "foreign", "Provisioned")["message"]
    world.place.kubectl("delete", "stage", "foreign", seconds=60)
    assert world.account("notification-api-foreign")["queues"] == ["notification-api-foreign-tasks"]
    world.place.apply(stage("foreign", adopt=True))
    wait_made(world.place, "foreign")
    world.place.kubectl("delete", "stage", "foreign", seconds=60)
    assert world.account("notification-api-foreign") == NOTHING


def test_a_living_stage_is_not_adopted_from_another_namespace(world: OperatorWorld) -> None:
    other = world.places[1]
    world.place.apply(stage("wanted"))
    wait_made(world.place, "wanted")
    other.apply(stage("wanted", adopt=True))
    wait_until_sync(
        lambda: condition(other, "wanted", "Provisioned").get("reason") == "NotOwned",
        lambda: str(conditions(other, "wanted")),
    )
    assert f"{world.place.name}/wanted" in condition(other, "wanted", "Provisioned")["message"]
    other.kubectl("delete", "stage", "wanted", seconds=60)
    assert world.account("notification-api-wanted") == names_of("wanted")
    assert is_made(world.place, "wanted")
    world.place.kubectl("delete", "stage", "wanted", seconds=60)
    assert world.account("notification-api-wanted") == NOTHING


def test_retain_keeps_everything_for_the_next_of_its_name(world: OperatorWorld) -> None:
    world.place.apply(stage("kept", deletionPolicy="Retain"))
    wait_made(world.place, "kept")
    pool = world.place.get("stage", "kept")["status"]["resources"]["userPoolId"]
    world.place.kubectl("delete", "stage", "kept", seconds=60)
    assert world.account("notification-api-kept") == names_of("kept")
    world.place.apply(stage("kept"))
    wait_made(world.place, "kept")
    assert world.place.get("stage", "kept")["status"]["resources"]["userPoolId"] == pool
    world.place.kubectl("delete", "stage", "kept", seconds=60)
    assert world.account("notification-api-kept") == NOTHING


def test_prod_is_retained_unless_told_otherwise(world: OperatorWorld) -> None:
    world.place.apply(stage("prod"))
    wait_made(world.place, "prod")
    assert world.place.get("stage", "prod")["status"]["deletionPolicy"] == "Retain"
    world.place.kubectl("patch", "stage", "prod", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Delete"}}')
    world.place.kubectl("delete", "stage", "prod", seconds=60)
    assert world.account("notification-api-prod") == NOTHING


@pytest.mark.parametrize("way_out", ["retain", "unprotect"])
def test_a_protected_user_pool_keeps_everything_until_a_person_decides(world: OperatorWorld, way_out: str) -> None:
    place, name = world.place, f"guarded-{way_out}"
    place.apply(stage(name))
    wait_made(place, name)
    pool = place.get("stage", name)["status"]["resources"]["userPoolId"]
    world.aws(f"await idp.update_user_pool(UserPoolId={pool!r}, DeletionProtection='ACTIVE')")
    place.kubectl("delete", "stage", name, "--wait=false")
    wait_until_sync(
        lambda: condition(place, name, "Ready").get("reason") == "DeletionProtected",
        lambda: str(conditions(place, name)),
    )
    assert "DeletionProtected" in place.kubectl("get", "stage", name)
    assert f"({pool}) is protected against deletion" in condition(place, name, "Ready")["message"]
    assert world.account(f"notification-api-{name}") == names_of(name)

    if way_out == "retain":
        place.kubectl("patch", "stage", name, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Retain"}}')
    else:
        world.aws(f"await idp.update_user_pool(UserPoolId={pool!r}, DeletionProtection='INACTIVE')")
    wait_gone(place, name)
    left = names_of(name) if way_out == "retain" else NOTHING
    assert world.account(f"notification-api-{name}") == left


def test_a_namespace_deleted_while_the_operator_is_down_goes_once_it_is_back(world: OperatorWorld) -> None:
    place = world.places[2]
    place.apply(stage("orphan"))
    wait_made(place, "orphan")
    world.scale_operator(0)
    place.kubectl("delete", "namespace", place.name, "--wait=false")
    wait_until_sync(lambda: "deletionTimestamp" in place.get("stage", "orphan")["metadata"], "the Stage being deleted")
    assert world.account("notification-api-orphan") == names_of("orphan")
    world.scale_operator(1)
    wait_until_sync(lambda: is_gone(place, "orphan"), "the Stage gone")
    assert world.account("notification-api-orphan") == NOTHING
    wait_until_sync(
        lambda: place.name not in place.kubectl("get", "namespaces", "-o", "name"),
        "the namespace gone",
    )


def test_an_operator_killed_again_and_again_leaves_no_double(world: OperatorWorld) -> None:
    names = [f"killed-{number}" for number in range(4)]
    for name in names:
        world.place.apply(stage(name))
        world.home.kubectl(
            "delete", "pod", "-l", "app.kubernetes.io/name=notification-operator", "--grace-period=0", "--force"
        )
    wait_made(world.place, *names, seconds=120)
    assert world.account("notification-api-killed") == {
        kind: sorted(made for name in names for made in names_of(name)[kind]) for kind in NOTHING
    }
    for name in names:
        world.place.kubectl("delete", "stage", name, "--wait=false")
        world.home.kubectl(
            "delete", "pod", "-l", "app.kubernetes.io/name=notification-operator", "--grace-period=0", "--force"
        )
    for name in names:
        wait_gone(world.place, name, seconds=120)
    assert world.account("notification-api-killed") == NOTHING


def test_a_stage_waits_for_aws_to_come_back_on_its_way_in_and_out(world: OperatorWorld) -> None:
    world.unplug_aws()
    try:
        world.place.apply(stage("patient"))
        wait_until_sync(
            lambda: condition(world.place, "patient", "Provisioned").get("reason") == "Unavailable",
            lambda: str(condition(world.place, "patient", "Provisioned")),
        )
    finally:
        world.plug_in_aws()
    wait_made(world.place, "patient")
    assert condition(world.place, "patient", "Degraded")["status"] == "False"
    world.unplug_aws()
    try:
        world.place.kubectl("delete", "stage", "patient", "--wait=false")
        wait_until_sync(
            lambda: condition(world.place, "patient", "Ready").get("reason") == "RemovalFailed",
            lambda: str(condition(world.place, "patient", "Ready")),
        )
    finally:
        world.plug_in_aws()
    wait_gone(world.place, "patient")
    assert world.account("notification-api-patient") == NOTHING


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"queue": {"url": "https://a/b"}}, r"set both queue\.url and queue\.deadLetterUrl"),
        ({"queue": {"url": "https://a/b", "deadLetterUrl": "https://a/b"}}, "the same queue"),
        ({"queue": {"url": "https://a/b", "deadLetterUrl": "https://a/c", "maxReceiveCount": 3}}, "its own settings"),
        ({"userPool": {"clientId": "abc"}}, "without userPool.id"),
        ({"scaling": {"minReplicas": 3, "maxReplicas": 2}}, "above scaling.maxReplicas"),
        ({"serviceName": "s" * 60, "stageName": "x" * 30}, "too long"),
        ({"stageName": "-x"}, "stageName"),
        ({"deletionPolicy": "Keep"}, "deletionPolicy"),
        ({"scaling": {"engine": "magic"}}, "engine"),
    ],
)
def test_the_definition_itself_refuses_what_cannot_be(world: OperatorWorld, spec: dict[str, object], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        world.place.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(stage("bad", **spec)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stageName": "other"}, "cannot change"),
        ({"serviceName": "other"}, "cannot change"),
        ({"queue": {"url": "https://a/b", "deadLetterUrl": "https://a/c"}}, "either existing or created"),
        ({"momento": {"cacheName": "other"}}, "either existing or created"),
    ],
)
def test_what_names_a_stage_never_changes(world: OperatorWorld, change: dict[str, object], said: str) -> None:
    world.places[1].apply(stage("fixed"))
    patch = json.dumps({"spec": change})
    with pytest.raises(AssertionError, match=said):
        world.places[1].kubectl("patch", "stage", "fixed", "--type=merge", "--dry-run=server", "-p", patch)


def test_a_given_pool_is_exchanged_only_where_the_client_is_given_too(world: OperatorWorld) -> None:
    place, other = world.places[1], {"userPool": {"id": "us-east-1_other"}}
    place.apply(
        stage("guest", userPool={"id": "us-east-1_one"}), stage("both", userPool={"id": "a_1", "clientId": "c"})
    )
    with pytest.raises(AssertionError, match=r"userPool\.id cannot change"):
        place.kubectl("patch", "stage", "guest", "--type=merge", "--dry-run=server", "-p", json.dumps({"spec": other}))
    place.kubectl("patch", "stage", "both", "--type=merge", "--dry-run=server", "-p", json.dumps({"spec": other}))
    place.kubectl("delete", "stage", "guest", "both", seconds=60)


def test_twenty_stages_at_once_leave_nothing(world: OperatorWorld) -> None:
    place, names = world.places[1], [f"many-{number:02}" for number in range(20)]
    place.apply(*(stage(name) for name in names))
    wait_made(place, *names, seconds=180)
    made = world.account("notification-api-many")
    assert [len(found) for found in made.values()] == [40, 20, 20]
    place.kubectl("delete", "stages", "--all", seconds=180)
    assert world.account("notification-api-many") == NOTHING
    wait_until_sync(
        lambda: not [c for c in place.get("configmaps")["items"] if c["metadata"]["name"] != "kube-root-ca.crt"], "gone"
    )
