"""A Stage deleted in every order: what is protected, retained or given stays, and everything else goes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import product
from typing import Any

import pytest

from k8s.operator.api.client import Json
from k8s.operator.controller.reconciler import Keeper
from tests.support.fakes.kubernetes import deployment
from tests.support.operator.aws_account import World
from tests.support.operator.in_memory import KeeperWorld, keeper_world
from tests.support.processes.ministack import MiniStack, ministack_process

PROCESSOR = "/apis/apps/v1/namespaces/n/deployments/dev-processor"
NAMES = "notification-api-dev"


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[KeeperWorld]:
    async with keeper_world(stack) as made:
        yield made


async def all_made(world: World) -> Json:
    return {}


async def all_adopted(world: World) -> Json:
    for name in ("tasks", "dlq"):
        await world.sqs.create_queue(QueueName=f"{NAMES}-{name}")
    await world.idp.create_user_pool(PoolName=f"{NAMES}-UserPool", UsernameAttributes=["email"])
    world.caches.names.add(NAMES)
    return {"adopt": True}


async def queues_given(world: World) -> Json:
    urls = [(await world.sqs.create_queue(QueueName=name))["QueueUrl"] for name in ("given", "given-dead")]
    return {"queue": {"url": urls[0], "deadLetterUrl": urls[1]}}


async def pool_given(world: World) -> Json:
    pool = await world.idp.create_user_pool(PoolName="given", DeletionProtection="ACTIVE")
    return {"userPool": {"id": pool["UserPool"]["Id"]}}


async def cache_given(world: World) -> Json:
    world.caches.names.add("given")
    return {"momento": {"cacheName": "given"}}


SOURCES: dict[str, Callable[[World], Awaitable[Json]]] = {
    "made": all_made,
    "adopted": all_adopted,
    "queues given": queues_given,
    "pool given": pool_given,
    "cache given": cache_given,
}
ORDERS = ["Stage first", "release first", "deleted by hand", "operator down"]


async def passes(keeper: Keeper, count: int = 3) -> None:
    for _ in range(count):
        if await keeper.reconcile_once() is None:
            return


async def protect(world: World, protection: str) -> None:
    for pool in await world.user_pools(NAMES):
        await world.idp.update_user_pool(UserPoolId=pool["Id"], DeletionProtection=protection)  # type: ignore[arg-type]


async def delete_by_hand(world: World) -> None:
    """What a person may delete without being asked: a queue and the cache."""
    if f"{NAMES}-tasks" in await world.queue_names():
        url = (await world.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await world.sqs.delete_queue(QueueUrl=url)
    world.caches.names.discard(NAMES)


async def given_of(world: World) -> dict[str, Any]:
    everything = await world.everything("")
    return {kind: [name for name in names if name.startswith("given")] for kind, names in everything.items()}


async def in_order(world: KeeperWorld, keeper: Keeper, order: str) -> Keeper:
    """Delete Stage and release; the keeper that goes on with it."""
    kubernetes, path = world.kubernetes, keeper.ref.path
    if order != "release first":
        kubernetes.put(PROCESSOR, deployment("processor", 1))
    if order == "deleted by hand":
        await delete_by_hand(world.world)
    before = await world.world.everything("")
    kubernetes.delete(path)
    if order == "operator down":  # nobody sees the release go
        kubernetes.delete(PROCESSOR)
        return world.keeper(kubernetes.stage(keeper.ref))
    await passes(keeper)
    if PROCESSOR in kubernetes.objects:
        assert kubernetes.condition(keeper.ref, "Ready")["reason"].startswith("Waiting")
        assert await world.world.everything("") == before
        kubernetes.delete(PROCESSOR)
    return keeper


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_deleted_stage_takes_its_own_and_leaves_what_is_given(
    world: KeeperWorld, source: str, order: str
) -> None:
    keeper = world.keeper(world.kubernetes.put_stage(**await SOURCES[source](world.world)))
    await keeper.reconcile_once()
    given = await given_of(world.world)

    await passes(await in_order(world, keeper, order))

    assert keeper.ref.path not in world.kubernetes.objects
    assert not any((await world.world.everything("notification-api")).values())
    assert await given_of(world.world) == given


@pytest.mark.parametrize("way_out", ["unprotected", "retained"])
@pytest.mark.parametrize(("source", "order"), list(product(["made", "adopted", "queues given", "cache given"], ORDERS)))
async def test_a_protected_pool_stops_the_deletion_of_everything_until_a_person_decides(
    world: KeeperWorld, source: str, order: str, way_out: str
) -> None:
    keeper = world.keeper(world.kubernetes.put_stage(**await SOURCES[source](world.world)))
    await keeper.reconcile_once()
    await protect(world.world, "ACTIVE")
    keeper = await in_order(world, keeper, order)
    before = await world.world.everything("")

    await passes(keeper)

    assert await world.world.everything("") == before
    [pool] = await world.world.user_pools(NAMES)
    ready = world.kubernetes.condition(keeper.ref, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DeletionProtected")
    assert f"({pool['Id']}) is protected against deletion (DeletionProtection ACTIVE)" in ready["message"]
    assert "kubectl -n n patch stage dev" in ready["message"]
    assert world.kubernetes.events().count("DeletionProtected") == 1

    if way_out == "retained":
        world.kubernetes.objects[keeper.ref.path]["spec"]["deletionPolicy"] = "Retain"
        await passes(keeper)
        assert await world.world.everything("") == before
    else:
        await protect(world.world, "INACTIVE")
        await passes(keeper)
        assert not any((await world.world.everything("notification-api")).values())
    assert keeper.ref.path not in world.kubernetes.objects


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("spec", [{"deletionPolicy": "Retain"}, {"stageName": "eu-prod"}])
async def test_a_retained_stage_leaves_everything_and_its_next_takes_it_up(
    world: KeeperWorld, source: str, spec: Json
) -> None:
    given = await SOURCES[source](world.world) if "deletionPolicy" in spec else {}
    stage = world.kubernetes.put_stage(**{**given, **spec})
    await world.keeper(stage).reconcile_once()
    assert world.kubernetes.objects[stage.ref.path]["status"]["deletionPolicy"] == "Retain"
    before = await world.world.everything("")
    world.kubernetes.delete(stage.ref.path)
    await passes(world.keeper(world.kubernetes.stage(stage.ref)))
    assert stage.ref.path not in world.kubernetes.objects

    again = world.keeper(world.kubernetes.put_stage(**{**given, **spec}))
    await again.reconcile_once()

    assert await world.world.everything("") == before
    assert world.kubernetes.condition(again.ref, "Provisioned")["status"] == "True"


@pytest.mark.parametrize("queue", ["tasks", "dlq"])
async def test_a_queue_whose_policy_denies_its_deletion_stops_the_deletion_of_everything(
    world: KeeperWorld, queue: str
) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:DeleteQueue", "Resource": "*"}
    url = (await world.world.sqs.get_queue_url(QueueName=f"{NAMES}-{queue}"))["QueueUrl"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    before = await world.world.everything("")
    world.kubernetes.delete(keeper.ref.path)

    await passes(keeper)

    assert await world.world.everything("") == before
    ready = world.kubernetes.condition(keeper.ref, "Ready")
    assert ready["reason"] == "DeletionProtected"
    assert f"queue {NAMES}-{queue} is protected against deletion" in ready["message"]
    await world.world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    await passes(keeper)
    assert keeper.ref.path not in world.kubernetes.objects


async def test_a_pool_protected_during_the_removal_stays(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.delete(keeper.ref.path)

    async def protect_now(**_: object) -> None:
        await protect(world.world, "ACTIVE")

    events = world.world.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPoolClient", protect_now)  # type: ignore[arg-type] # aiobotocore awaits it
    await passes(keeper)

    assert len(await world.world.user_pools(NAMES)) == 1
    assert world.kubernetes.condition(keeper.ref, "Ready")["reason"] == "DeletionProtected"
    assert await world.world.queue_names() == [f"{NAMES}-dlq", f"{NAMES}-tasks"]


async def test_a_queue_protected_during_the_removal_stays(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.delete(keeper.ref.path)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:DeleteQueue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    async def protect_now(**_: object) -> None:
        url = (await world.world.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await world.world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    events = world.world.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPool", protect_now)  # type: ignore[arg-type] # aiobotocore awaits it
    await passes(keeper)

    assert await world.world.queue_names() == [f"{NAMES}-dlq", f"{NAMES}-tasks"]
    assert world.kubernetes.condition(keeper.ref, "Ready")["reason"] == "DeletionProtected"


async def test_a_queue_that_another_marks_during_the_removal_stays(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.delete(keeper.ref.path)

    async def mark(**_: object) -> None:
        url = (await world.world.sqs.get_queue_url(QueueName=f"{NAMES}-tasks"))["QueueUrl"]
        await world.world.sqs.tag_queue(QueueUrl=url, Tags={"notification-api.io/owner": "another/stage"})

    events = world.world.clients.idp.meta.events
    events.register("after-call.cognito-idp.DeleteUserPool", mark)  # type: ignore[arg-type] # aiobotocore awaits it
    await passes(keeper)

    assert await world.world.queue_names() == [f"{NAMES}-tasks"]
    assert keeper.ref.path not in world.kubernetes.objects
