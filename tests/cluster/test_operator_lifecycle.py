"""Stages provisioned, retained and deleted by the operator on the real cluster, in every order."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import (
    NOTHING,
    RESYNC_SECONDS,
    InstalledOperator,
    condition,
    conditions,
    installed_operator,
    is_deleted,
    is_provisioned,
    names_of,
    stage,
    wait_deleted,
    wait_provisioned,
)
from tests.support.cluster.tools import wait_until_sync

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def operator() -> Iterator[InstalledOperator]:
    with installed_operator() as installed:
        yield installed


def events(operator: InstalledOperator, name: str) -> list[str]:
    found = operator.namespace.get("events")["items"]
    return [each["reason"] for each in found if each["involvedObject"]["name"] == name]


def test_a_stage_is_provisioned_as_specified_and_deleted_completely(operator: InstalledOperator) -> None:
    operator.namespace.apply(stage("alone"))
    wait_provisioned(operator.namespace, "alone")
    assert operator.account("notification-api-alone") == names_of("alone")
    data = operator.namespace.get("configmap", "alone-outputs")["data"]
    assert data["TASK_QUEUE_URL"].endswith("/notification-api-alone-tasks")
    assert data["MOMENTO_CACHE_NAME"] == "notification-api-alone"
    status = operator.namespace.get("stage", "alone")["status"]
    assert status["observedGeneration"] == 1
    assert status["resources"]["queueUrl"] == data["TASK_QUEUE_URL"]
    wait_until_sync(
        lambda: condition(operator.namespace, "alone", "Ready").get("reason") == "NoDeployments",
        lambda: str(conditions(operator.namespace, "alone")),
    )
    operator.namespace.kubectl("delete", "stage", "alone", seconds=60)
    assert operator.account("notification-api-alone") == NOTHING
    wait_until_sync(
        lambda: not operator.namespace.kubectl("get", "configmap", "alone-outputs", "--ignore-not-found"),
        "outputs deleted",
    )
    assert {"Changed", "Removed"} <= set(events(operator, "alone"))


def test_reconciling_an_unchanged_stage_writes_nothing(operator: InstalledOperator) -> None:
    operator.namespace.apply(stage("still"))
    wait_provisioned(operator.namespace, "still")
    wait_until_sync(lambda: condition(operator.namespace, "still", "Scaling"), "the first poll of the queue")
    writes = 'notification_api_operator_kubernetes_calls_total{outcome="ok",verb="P'
    time.sleep(2 * RESYNC_SECONDS)  # until writes that follow the provisioning have ended
    version = operator.namespace.get("stage", "still")["metadata"]["resourceVersion"]
    before = [operator.operator_metric(name) for name in (writes, "notification_api_operator_changes_total")]
    reconciles = 'notification_api_operator_reconciles_total{kind="provision",outcome="ok"}'
    done = operator.operator_metric(reconciles)
    wait_until_sync(lambda: operator.operator_metric(reconciles) >= done + 3, "three more reconciles")
    assert [operator.operator_metric(name) for name in (writes, "notification_api_operator_changes_total")] == before
    assert operator.namespace.get("stage", "still")["metadata"]["resourceVersion"] == version
    operator.namespace.kubectl("delete", "stage", "still", seconds=60)


def test_drift_is_corrected(operator: InstalledOperator) -> None:
    operator.namespace.apply(stage("drift"))
    wait_provisioned(operator.namespace, "drift")
    url = operator.namespace.get("stage", "drift")["status"]["resources"]["queueUrl"]
    operator.aws(f"await sqs.set_queue_attributes(QueueUrl={url!r}, Attributes={{'VisibilityTimeout': '7'}})")
    ask = f"sqs.get_queue_attributes(QueueUrl={url!r}, AttributeNames=['VisibilityTimeout'])"
    read = f"print((await {ask})['Attributes']['VisibilityTimeout'])"
    wait_until_sync(lambda: operator.aws(read).strip() == "30", "the visibility timeout corrected")
    operator.aws(f"await sqs.delete_queue(QueueUrl={url!r})")
    wait_until_sync(
        lambda: operator.account("notification-api-drift") == names_of("drift"),
        lambda: f"the queue created again: {condition(operator.namespace, 'drift', 'Degraded')}",
    )
    operator.namespace.kubectl("delete", "stage", "drift", seconds=60)
    assert operator.account("notification-api-drift") == NOTHING


def test_a_foreign_queue_is_neither_used_nor_deleted_until_adopted(operator: InstalledOperator) -> None:
    operator.aws("await sqs.create_queue(QueueName='notification-api-foreign-tasks')")
    operator.namespace.apply(stage("foreign"))
    wait_until_sync(
        lambda: condition(operator.namespace, "foreign", "Provisioned").get("reason") == "NotOwned",
        lambda: str(condition(operator.namespace, "foreign", "Provisioned")),
    )
    assert "adopt" in condition(operator.namespace, "foreign", "Provisioned")["message"]
    operator.namespace.kubectl("delete", "stage", "foreign", seconds=60)
    assert operator.account("notification-api-foreign")["queues"] == ["notification-api-foreign-tasks"]
    operator.namespace.apply(stage("foreign", adopt=True))
    wait_provisioned(operator.namespace, "foreign")
    operator.namespace.kubectl("delete", "stage", "foreign", seconds=60)
    assert operator.account("notification-api-foreign") == NOTHING


def test_a_live_stage_is_not_adopted_from_another_namespace(operator: InstalledOperator) -> None:
    other = operator.namespaces[1]
    operator.namespace.apply(stage("wanted"))
    wait_provisioned(operator.namespace, "wanted")
    other.apply(stage("wanted", adopt=True))
    wait_until_sync(
        lambda: condition(other, "wanted", "Provisioned").get("reason") == "NotOwned",
        lambda: str(conditions(other, "wanted")),
    )
    assert f"{operator.namespace.name}/wanted" in condition(other, "wanted", "Provisioned")["message"]
    other.kubectl("delete", "stage", "wanted", seconds=60)
    assert operator.account("notification-api-wanted") == names_of("wanted")
    assert is_provisioned(operator.namespace, "wanted")
    operator.namespace.kubectl("delete", "stage", "wanted", seconds=60)
    assert operator.account("notification-api-wanted") == NOTHING


def test_retained_resources_are_used_by_the_next_stage_of_the_name(operator: InstalledOperator) -> None:
    operator.namespace.apply(stage("kept", deletionPolicy="Retain"))
    wait_provisioned(operator.namespace, "kept")
    pool = operator.namespace.get("stage", "kept")["status"]["resources"]["userPoolId"]
    operator.namespace.kubectl("delete", "stage", "kept", seconds=60)
    assert operator.account("notification-api-kept") == names_of("kept")
    operator.namespace.apply(stage("kept"))
    wait_provisioned(operator.namespace, "kept")
    assert operator.namespace.get("stage", "kept")["status"]["resources"]["userPoolId"] == pool
    operator.namespace.kubectl("delete", "stage", "kept", seconds=60)
    assert operator.account("notification-api-kept") == NOTHING


def test_prod_is_retained_unless_configured_otherwise(operator: InstalledOperator) -> None:
    operator.namespace.apply(stage("prod"))
    wait_provisioned(operator.namespace, "prod")
    assert operator.namespace.get("stage", "prod")["status"]["deletionPolicy"] == "Retain"
    operator.namespace.kubectl("patch", "stage", "prod", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Delete"}}')
    operator.namespace.kubectl("delete", "stage", "prod", seconds=60)
    assert operator.account("notification-api-prod") == NOTHING


@pytest.mark.parametrize("resolution", ["retain", "unprotect"])
def test_a_protected_user_pool_keeps_everything_until_a_person_decides(
    operator: InstalledOperator, resolution: str
) -> None:
    namespace, name = operator.namespace, f"guarded-{resolution}"
    namespace.apply(stage(name))
    wait_provisioned(namespace, name)
    pool = namespace.get("stage", name)["status"]["resources"]["userPoolId"]
    operator.aws(f"await idp.update_user_pool(UserPoolId={pool!r}, DeletionProtection='ACTIVE')")
    namespace.kubectl("delete", "stage", name, "--wait=false")
    wait_until_sync(
        lambda: condition(namespace, name, "Ready").get("reason") == "DeletionProtected",
        lambda: str(conditions(namespace, name)),
    )
    assert "DeletionProtected" in namespace.kubectl("get", "stage", name)
    assert f"({pool}) is protected against deletion" in condition(namespace, name, "Ready")["message"]
    assert operator.account(f"notification-api-{name}") == names_of(name)

    if resolution == "retain":
        namespace.kubectl("patch", "stage", name, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Retain"}}')
    else:
        operator.aws(f"await idp.update_user_pool(UserPoolId={pool!r}, DeletionProtection='INACTIVE')")
    wait_deleted(namespace, name)
    left = names_of(name) if resolution == "retain" else NOTHING
    assert operator.account(f"notification-api-{name}") == left


def test_a_namespace_deleted_while_the_operator_is_down_is_removed_once_it_runs(operator: InstalledOperator) -> None:
    namespace = operator.deletable
    namespace.apply(stage("orphan"))
    wait_provisioned(namespace, "orphan")
    operator.scale_operator(0)
    namespace.kubectl("delete", "namespace", namespace.name, "--wait=false")
    wait_until_sync(
        lambda: "deletionTimestamp" in namespace.get("stage", "orphan")["metadata"], "the Stage being deleted"
    )
    assert operator.account("notification-api-orphan") == names_of("orphan")
    operator.scale_operator(1)
    wait_until_sync(lambda: is_deleted(namespace, "orphan"), "the Stage deleted")
    assert operator.account("notification-api-orphan") == NOTHING
    wait_until_sync(
        lambda: namespace.name not in namespace.kubectl("get", "namespaces", "-o", "name"),
        "the namespace deleted",
    )


def test_an_operator_that_is_killed_repeatedly_creates_no_duplicates(operator: InstalledOperator) -> None:
    names = [f"killed-{number}" for number in range(4)]
    for name in names:
        operator.namespace.apply(stage(name))
        operator.home.kubectl(
            "delete", "pod", "-l", "app.kubernetes.io/name=notification-operator", "--grace-period=0", "--force"
        )
    wait_provisioned(operator.namespace, *names, seconds=120)
    assert operator.account("notification-api-killed") == {
        kind: sorted(made for name in names for made in names_of(name)[kind]) for kind in NOTHING
    }
    for name in names:
        operator.namespace.kubectl("delete", "stage", name, "--wait=false")
        operator.home.kubectl(
            "delete", "pod", "-l", "app.kubernetes.io/name=notification-operator", "--grace-period=0", "--force"
        )
    for name in names:
        wait_deleted(operator.namespace, name, seconds=120)
    assert operator.account("notification-api-killed") == NOTHING


def test_provisioning_and_deletion_wait_while_aws_is_unreachable(operator: InstalledOperator) -> None:
    operator.unplug_aws()
    try:
        operator.namespace.apply(stage("patient"))
        wait_until_sync(
            lambda: condition(operator.namespace, "patient", "Provisioned").get("reason") == "Unavailable",
            lambda: str(condition(operator.namespace, "patient", "Provisioned")),
        )
    finally:
        operator.plug_in_aws()
    wait_provisioned(operator.namespace, "patient")
    assert condition(operator.namespace, "patient", "Degraded")["status"] == "False"
    operator.unplug_aws()
    try:
        operator.namespace.kubectl("delete", "stage", "patient", "--wait=false")
        wait_until_sync(
            lambda: condition(operator.namespace, "patient", "Ready").get("reason") == "RemovalFailed",
            lambda: str(condition(operator.namespace, "patient", "Ready")),
        )
    finally:
        operator.plug_in_aws()
    wait_deleted(operator.namespace, "patient")
    assert operator.account("notification-api-patient") == NOTHING


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
def test_the_crd_rejects_invalid_specs(operator: InstalledOperator, spec: dict[str, object], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        operator.namespace.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(stage("bad", **spec)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stageName": "other"}, "cannot change"),
        ({"serviceName": "other"}, "cannot change"),
        ({"queue": {"url": "https://a/b", "deadLetterUrl": "https://a/c"}}, "either existing or created"),
        ({"momento": {"cacheName": "other"}}, "either existing or created"),
    ],
)
def test_the_names_of_a_stage_are_immutable(operator: InstalledOperator, change: dict[str, object], said: str) -> None:
    operator.namespaces[1].apply(stage("fixed"))
    patch = json.dumps({"spec": change})
    with pytest.raises(AssertionError, match=said):
        operator.namespaces[1].kubectl("patch", "stage", "fixed", "--type=merge", "--dry-run=server", "-p", patch)


def test_an_existing_pool_can_be_changed_only_together_with_its_client(operator: InstalledOperator) -> None:
    namespace, other = operator.namespaces[1], {"userPool": {"id": "us-east-1_other"}}
    namespace.apply(
        stage("guest", userPool={"id": "us-east-1_one"}), stage("both", userPool={"id": "a_1", "clientId": "c"})
    )
    with pytest.raises(AssertionError, match=r"userPool\.id cannot change"):
        namespace.kubectl(
            "patch", "stage", "guest", "--type=merge", "--dry-run=server", "-p", json.dumps({"spec": other})
        )
    namespace.kubectl("patch", "stage", "both", "--type=merge", "--dry-run=server", "-p", json.dumps({"spec": other}))
    namespace.kubectl("delete", "stage", "guest", "both", seconds=60)


def test_twenty_stages_deleted_together_leave_nothing(operator: InstalledOperator) -> None:
    namespace, names = operator.namespaces[1], [f"many-{number:02}" for number in range(20)]
    namespace.apply(*(stage(name) for name in names))
    wait_provisioned(namespace, *names, seconds=180)
    made = operator.account("notification-api-many")
    assert [len(found) for found in made.values()] == [40, 20, 20]
    namespace.kubectl("delete", "stages", "--all", seconds=180)
    assert operator.account("notification-api-many") == NOTHING
    wait_until_sync(
        lambda: not [c for c in namespace.get("configmaps")["items"] if c["metadata"]["name"] != "kube-root-ca.crt"],
        "the outputs deleted",
    )
