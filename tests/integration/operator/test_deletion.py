"""A Stage is deleted in every order: protected, retained and existing resources stay, all others are deleted."""

import json
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest

from k8s.operator.api.client import Json
from k8s.operator.controller.reconciler import Reconciler
from tests.support.fakes.kubernetes import deployment
from tests.support.operator.aws_account import AwsAccount
from tests.support.operator.in_memory import InMemoryOperator, reconcile

PROCESSOR = "/apis/apps/v1/namespaces/n/deployments/dev-processor"
NAMES = "notification-api-dev"


async def all_created(account: AwsAccount) -> Json:
    return {}


async def all_adopted(account: AwsAccount) -> Json:
    for name in ("tasks", "dlq"):
        await account.sqs.create_queue(QueueName=f"{NAMES}-{name}")
    await account.idp.create_user_pool(PoolName=f"{NAMES}-UserPool", UsernameAttributes=["email"])
    account.caches.names.add(NAMES)
    return {"adopt": True}


async def queues_given(account: AwsAccount) -> Json:
    urls = [(await account.sqs.create_queue(QueueName=name))["QueueUrl"] for name in ("given", "given-dead")]
    return {"queue": {"url": urls[0], "deadLetterUrl": urls[1]}}


async def pool_given(account: AwsAccount) -> Json:
    pool = await account.idp.create_user_pool(PoolName="given", DeletionProtection="ACTIVE")
    return {"userPool": {"id": pool["UserPool"]["Id"]}}


async def cache_given(account: AwsAccount) -> Json:
    account.caches.names.add("given")
    return {"momento": {"cacheName": "given"}}


SOURCES: dict[str, Callable[[AwsAccount], Awaitable[Json]]] = {
    "created": all_created,
    "adopted": all_adopted,
    "queues given": queues_given,
    "pool given": pool_given,
    "cache given": cache_given,
}
ORDERS = ["Stage first", "release first", "deleted by hand", "operator down"]


async def protect(account: AwsAccount, protection: str) -> None:
    for pool in await account.user_pools(NAMES):
        await account.idp.update_user_pool(UserPoolId=pool["Id"], DeletionProtection=protection)  # type: ignore[arg-type]


async def delete_by_hand(account: AwsAccount) -> None:
    """Delete a queue and the cache, as a person might."""
    if f"{NAMES}-tasks" in await account.queue_names():
        url = (await account.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await account.sqs.delete_queue(QueueUrl=url)
    account.caches.names.discard(NAMES)


async def given_of(account: AwsAccount) -> dict[str, Any]:
    everything = await account.everything("")
    return {kind: [name for name in names if name.startswith("given")] for kind, names in everything.items()}


async def in_order(operator: InMemoryOperator, reconciler: Reconciler, order: str) -> Reconciler:
    """Delete Stage and release in this order. Returns the reconciler that continues."""
    kubernetes, path = operator.kubernetes, reconciler.ref.path
    if order != "release first":
        kubernetes.put(PROCESSOR, deployment("processor", 1))
    if order == "deleted by hand":
        await delete_by_hand(operator.aws_account)
    before = await operator.aws_account.everything("")
    kubernetes.delete(path)
    if order == "operator down":  # no operator sees that the release is removed
        kubernetes.delete(PROCESSOR)
        return operator.reconciler(kubernetes.stage(reconciler.ref))
    await reconcile(reconciler)
    if PROCESSOR in kubernetes.objects:
        assert kubernetes.condition(reconciler.ref, "Ready")["reason"].startswith("Waiting")
        assert await operator.aws_account.everything("") == before
        kubernetes.delete(PROCESSOR)
    return reconciler


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_deleted_stage_removes_only_its_own_resources(
    operator: InMemoryOperator, source: str, order: str
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage(**await SOURCES[source](operator.aws_account)))
    await reconciler.reconcile_once()
    given = await given_of(operator.aws_account)

    await reconcile(await in_order(operator, reconciler, order))

    assert reconciler.ref.path not in operator.kubernetes.objects
    assert not any((await operator.aws_account.everything("notification-api")).values())
    assert await given_of(operator.aws_account) == given


@pytest.mark.parametrize("way_out", ["unprotected", "retained"])
@pytest.mark.parametrize(
    ("source", "order"), list(product(["created", "adopted", "queues given", "cache given"], ORDERS))
)
async def test_a_protected_pool_stops_the_deletion_of_everything_until_a_person_decides(
    operator: InMemoryOperator, source: str, order: str, way_out: str
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage(**await SOURCES[source](operator.aws_account)))
    await reconciler.reconcile_once()
    await protect(operator.aws_account, "ACTIVE")
    reconciler = await in_order(operator, reconciler, order)
    before = await operator.aws_account.everything("")

    await reconcile(reconciler)

    assert await operator.aws_account.everything("") == before
    [pool] = await operator.aws_account.user_pools(NAMES)
    ready = operator.kubernetes.condition(reconciler.ref, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DeletionProtected")
    assert f"({pool['Id']}) is protected against deletion (DeletionProtection ACTIVE)" in ready["message"]
    assert "kubectl -n n patch stage dev" in ready["message"]
    assert operator.kubernetes.events().count("DeletionProtected") == 1

    if way_out == "retained":
        operator.kubernetes.objects[reconciler.ref.path]["spec"]["deletionPolicy"] = "Retain"
        await reconcile(reconciler)
        assert await operator.aws_account.everything("") == before
    else:
        await protect(operator.aws_account, "INACTIVE")
        await reconcile(reconciler)
        assert not any((await operator.aws_account.everything("notification-api")).values())
    assert reconciler.ref.path not in operator.kubernetes.objects


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("spec", [{"deletionPolicy": "Retain"}, {"stageName": "eu-prod"}])
async def test_a_retained_stage_keeps_everything_and_the_next_one_uses_it(
    operator: InMemoryOperator, source: str, spec: Json
) -> None:
    given = await SOURCES[source](operator.aws_account) if "deletionPolicy" in spec else {}
    stage = operator.kubernetes.put_stage(**{**given, **spec})
    await operator.reconciler(stage).reconcile_once()
    assert operator.kubernetes.objects[stage.ref.path]["status"]["deletionPolicy"] == "Retain"
    before = await operator.aws_account.everything("")
    operator.kubernetes.delete(stage.ref.path)
    await reconcile(operator.reconciler(operator.kubernetes.stage(stage.ref)))
    assert stage.ref.path not in operator.kubernetes.objects

    again = operator.reconciler(operator.kubernetes.put_stage(**{**given, **spec}))
    await again.reconcile_once()

    assert await operator.aws_account.everything("") == before
    assert operator.kubernetes.condition(again.ref, "Provisioned")["status"] == "True"


@pytest.mark.parametrize("queue", ["tasks", "dlq"])
async def test_a_queue_whose_policy_denies_its_deletion_stops_the_deletion_of_everything(
    operator: InMemoryOperator, queue: str
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:DeleteQueue", "Resource": "*"}
    url = (await operator.aws_account.sqs.get_queue_url(QueueName=f"{NAMES}-{queue}"))["QueueUrl"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await operator.aws_account.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    before = await operator.aws_account.everything("")
    operator.kubernetes.delete(reconciler.ref.path)

    await reconcile(reconciler)

    assert await operator.aws_account.everything("") == before
    ready = operator.kubernetes.condition(reconciler.ref, "Ready")
    assert ready["reason"] == "DeletionProtected"
    assert f"queue {NAMES}-{queue} is protected against deletion" in ready["message"]
    await operator.aws_account.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    await reconcile(reconciler)
    assert reconciler.ref.path not in operator.kubernetes.objects


async def test_a_pool_protected_during_the_removal_stays(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.delete(reconciler.ref.path)

    async def protect_now(**_: object) -> None:
        await protect(operator.aws_account, "ACTIVE")

    events = operator.aws_account.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPoolClient", protect_now)  # type: ignore[arg-type] # aiobotocore awaits it
    await reconcile(reconciler)

    assert len(await operator.aws_account.user_pools(NAMES)) == 1
    assert operator.kubernetes.condition(reconciler.ref, "Ready")["reason"] == "DeletionProtected"
    assert await operator.aws_account.queue_names() == [f"{NAMES}-dlq", f"{NAMES}-tasks"]


async def test_a_queue_protected_during_the_removal_stays(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.delete(reconciler.ref.path)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:DeleteQueue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    async def protect_now(**_: object) -> None:
        url = (await operator.aws_account.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await operator.aws_account.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    events = operator.aws_account.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPool", protect_now)  # type: ignore[arg-type] # aiobotocore awaits it
    await reconcile(reconciler)

    assert await operator.aws_account.queue_names() == [f"{NAMES}-dlq", f"{NAMES}-tasks"]
    assert operator.kubernetes.condition(reconciler.ref, "Ready")["reason"] == "DeletionProtected"


async def test_a_queue_that_another_stage_tags_during_the_removal_stays(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.delete(reconciler.ref.path)

    async def mark(**_: object) -> None:
        url = (await operator.aws_account.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await operator.aws_account.sqs.tag_queue(QueueUrl=url, Tags={"notification-api.io/owner": "another/stage"})

    events = operator.aws_account.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPool", mark)  # type: ignore[arg-type] # aiobotocore awaits it
    await reconcile(reconciler)

    assert await operator.aws_account.queue_names() == [f"{NAMES}-tasks"]
    assert reconciler.ref.path not in operator.kubernetes.objects
