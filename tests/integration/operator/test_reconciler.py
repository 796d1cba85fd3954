"""A stage kept and removed, pass by pass, over an emulated account."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import ListCachesResponse

from k8s.operator.api.client import Json
from k8s.operator.controller.reconciler import Keeper
from services.common.errors import PermanentError
from tests.support.fakes.kubernetes import deployment, pod
from tests.support.operator.in_memory import KeeperWorld, OneMomento, keeper_world
from tests.support.processes.ministack import MiniStack, ministack_process

PODS = "/api/v1/namespaces/n/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/n/deployments"


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[KeeperWorld]:
    async with keeper_world(stack) as made:
        yield made


class NoKey:
    """As `MomentoCaches` where the parameter of the key is not there."""

    async def list_caches(self) -> ListCachesResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")

    async def create_cache(self, cache_name: str) -> CreateCacheResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")


async def passes(keeper: Keeper, count: int = 3) -> None:
    for _ in range(count):
        if await keeper.reconcile_once() is None:
            return


async def test_a_stage_is_made_told_and_removed(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    assert world.kubernetes.condition(keeper.ref, "Provisioned")["status"] == "True"
    assert "/api/v1/namespaces/n/configmaps/dev-outputs" in world.kubernetes.objects

    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)

    assert keeper.ref.path not in world.kubernetes.objects
    assert not any((await world.world.everything("notification-api")).values())


async def test_a_stage_whose_key_cannot_be_read_can_be_removed(stack: MiniStack) -> None:
    async with keeper_world(stack, NoKey()) as world:
        keeper = world.keeper(world.kubernetes.put_stage(ssmStageName="typo"))
        await keeper.reconcile_once()
        assert "cannot be read" in world.kubernetes.condition(keeper.ref, "Provisioned")["message"]
        assert await world.world.queue_names() != []

        world.kubernetes.delete(keeper.ref.path)
        await passes(keeper)

        assert keeper.ref.path not in world.kubernetes.objects
        assert await world.world.queue_names() == []


async def test_a_stage_whose_key_went_waits_for_it_or_for_its_cache_to_be_struck_off(world: KeeperWorld) -> None:
    ref = world.kubernetes.put_stage().ref
    await world.keeper(world.kubernetes.stage(ref)).reconcile_once()
    without_key = replace(world, tools=replace(world.tools, caches=OneMomento(NoKey())))
    world.kubernetes.delete(ref.path)
    keeper = without_key.keeper(world.kubernetes.stage(ref))

    await passes(keeper)
    told = world.kubernetes.condition(ref, "Ready")
    assert (told["reason"], "cannot be read" in told["message"]) == ("RemovalFails", True)
    assert len(await world.world.queue_names()) == 2

    record = ["notification-api.io/made-cache"]  # as docs/operator.md says
    for name in await world.world.queue_names():
        url = (await world.world.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        await world.world.sqs.untag_queue(QueueUrl=url, TagKeys=record)
    pool_arn = (await world.world.user_pools())[0]["Arn"]
    await world.world.idp.untag_resource(ResourceArn=pool_arn, TagKeys=record)
    await passes(keeper)
    assert ref.path not in world.kubernetes.objects
    assert await world.world.queue_names() == []


async def test_a_stage_that_is_retained_is_let_go_and_nothing_of_it_is_touched(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage("prod"))
    await keeper.reconcile_once()
    before = await world.world.everything("notification-api")
    world.kubernetes.delete(keeper.ref.path)
    world.world.calls.forget()

    await keeper.reconcile_once()

    assert keeper.ref.path not in world.kubernetes.objects
    assert [call for call in world.world.calls.writes if " " not in call] == []
    assert await world.world.everything("notification-api") == before
    assert "Retained" in world.kubernetes.events()


async def test_a_stage_whose_names_cannot_be_is_told_so_and_can_be_removed(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage("dev", serviceName="s" * 80))
    await keeper.reconcile_once()
    assert "too long" in world.kubernetes.condition(keeper.ref, "Provisioned")["message"]
    world.kubernetes.delete(keeper.ref.path)

    await keeper.reconcile_once()

    assert keeper.ref.path not in world.kubernetes.objects


async def test_while_a_deleted_queue_is_still_seen_its_removal_is_told_once(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    # As SQS, which may show a queue for a minute after it has said that it is deleted.
    events = world.world.clients.sqs.meta.events
    events.register("before-call.sqs.DeleteQueue", _answered, unique_id="still there")  # type: ignore[arg-type]
    world.kubernetes.delete(keeper.ref.path)

    await passes(keeper)

    told = world.kubernetes.condition(keeper.ref, "Ready")
    assert told["reason"] == "WaitingForRemoval"
    assert "queue notification-api-dev-tasks" in told["message"]
    assert world.kubernetes.events().count("Removed") == 1
    events.unregister("before-call.sqs.DeleteQueue", unique_id="still there")
    await passes(keeper)
    assert keeper.ref.path not in world.kubernetes.objects


def _answered(**_: object) -> tuple[SimpleNamespace, Json]:
    return SimpleNamespace(status_code=200), {}


async def test_nothing_is_removed_under_a_processor(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    world.kubernetes.delete(keeper.ref.path)

    await passes(keeper)  # its pod is not there yet, and may be any moment
    assert world.kubernetes.condition(keeper.ref, "Ready")["reason"] == "WaitingForRelease"
    world.kubernetes.delete(f"{DEPLOYMENTS}/dev-processor")
    world.kubernetes.put(f"{PODS}/p", pod("p", terminating=True))
    await passes(keeper)
    assert "finish what they do: p" in world.kubernetes.condition(keeper.ref, "Ready")["message"]
    assert len(await world.world.queue_names()) == 2

    world.kubernetes.delete(f"{PODS}/p")
    await passes(keeper)
    assert await world.world.queue_names() == []


@pytest.mark.parametrize("component", ["token", "ingest", "processor"])
@pytest.mark.parametrize("replicas", [0, 1])
async def test_nothing_is_removed_while_a_deployment_of_the_release_exists(
    world: KeeperWorld, component: str, replicas: int
) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.put(f"{DEPLOYMENTS}/dev-{component}", deployment(component, replicas))
    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)
    message = world.kubernetes.condition(keeper.ref, "Ready")["message"]
    assert f"(Deployments dev-{component}): helm uninstall dev -n n" in message
    assert "WaitingForRelease" in world.kubernetes.events()
    assert len(await world.world.queue_names()) == 2

    world.kubernetes.delete(f"{DEPLOYMENTS}/dev-{component}")
    world.kubernetes.put(f"{PODS}/p", pod("p", component))
    await passes(keeper)
    assert len(await world.world.queue_names()) == 2
    world.kubernetes.delete(f"{PODS}/p")
    world.kubernetes.put(f"{PODS}/smoke", pod("smoke", "test"))
    await passes(keeper)
    assert not any((await world.world.everything("notification-api")).values())


async def test_a_pod_that_only_bears_the_labels_is_named_with_the_command_that_deletes_it(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    body = pod("copy")
    del body["metadata"]["ownerReferences"]
    world.kubernetes.put(f"{PODS}/copy", body)
    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)
    assert "kubectl delete pod -n n copy" in world.kubernetes.condition(keeper.ref, "Ready")["message"]
    assert len(await world.world.queue_names()) == 2


async def test_a_stage_that_is_deleted_says_that_it_is_not_scaled(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)
    scaling = world.kubernetes.condition(keeper.ref, "Scaling")
    assert (scaling["status"], scaling["reason"]) == ("False", "Deleting")


async def test_a_live_release_keeps_its_outputs_where_its_stage_is_retained(world: KeeperWorld) -> None:
    """Deleted by mistake and made anew by `helm upgrade`: no pod is rolled, and nothing was missing meanwhile."""
    outputs = "/api/v1/namespaces/n/configmaps/dev-outputs"
    keeper = world.keeper(world.kubernetes.put_stage(deletionPolicy="Retain"))
    world.kubernetes.put(f"{DEPLOYMENTS}/dev-token", deployment("token"))
    await keeper.reconcile_once()
    before = world.kubernetes.objects[outputs]["data"]
    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)
    assert keeper.ref.path not in world.kubernetes.objects
    assert world.kubernetes.objects[outputs]["data"] == before

    anew = world.keeper(world.kubernetes.put_stage(deletionPolicy="Delete"))
    await anew.reconcile_once()
    assert world.kubernetes.condition(anew.ref, "Provisioned")["status"] == "True"
    assert world.kubernetes.objects[outputs]["data"] == before
    assert "annotations" not in world.kubernetes.objects[f"{DEPLOYMENTS}/dev-token"]["metadata"]

    world.kubernetes.delete(f"{DEPLOYMENTS}/dev-token")
    world.kubernetes.delete(anew.ref.path)
    await passes(anew)
    assert outputs not in world.kubernetes.objects
    assert not any((await world.world.everything("notification-api")).values())


async def test_a_stage_that_is_retained_takes_its_outputs_along_once_its_release_is_gone(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage("prod"))
    await keeper.reconcile_once()
    world.kubernetes.delete(keeper.ref.path)
    await passes(keeper)
    assert "/api/v1/namespaces/n/configmaps/prod-outputs" not in world.kubernetes.objects


async def test_what_an_old_list_does_not_show_is_not_taken_to_be_gone(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    world.kubernetes.stale = {}
    world.kubernetes.put(f"{PODS}/p", pod("p"))
    world.kubernetes.delete(keeper.ref.path)

    await passes(keeper)

    assert world.kubernetes.condition(keeper.ref, "Ready")["reason"] == "WaitingForRelease"
    assert len(await world.world.queue_names()) == 2


async def test_a_stage_of_given_things_alone_is_let_go_beside_its_running_processor(world: KeeperWorld) -> None:
    queue, dead = [(await world.world.sqs.create_queue(QueueName=name))["QueueUrl"] for name in ("theirs", "dead")]
    pool = (await world.world.idp.create_user_pool(PoolName="theirs"))["UserPool"]["Id"]
    client = (await world.world.idp.create_user_pool_client(UserPoolId=pool, ClientName="theirs"))["UserPoolClient"]
    given: Json = {
        "queue": {"url": queue, "deadLetterUrl": dead},
        "userPool": {"id": pool, "clientId": client["ClientId"]},
        "momento": {"cacheName": "theirs"},
    }
    keeper = world.keeper(world.kubernetes.put_stage(**given))
    await keeper.reconcile_once()
    world.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    world.kubernetes.put(f"{PODS}/p", pod("p"))
    world.kubernetes.delete(keeper.ref.path)

    await keeper.reconcile_once()

    assert keeper.ref.path not in world.kubernetes.objects
    assert await world.world.queue_names() == ["dead", "theirs"]
    # The release's next pod would not start without them.
    assert "/api/v1/namespaces/n/configmaps/dev-outputs" in world.kubernetes.objects


async def test_a_stage_that_was_made_and_cannot_be_looked_at_keeps_its_word_of_ready(world: KeeperWorld) -> None:
    first = world.keeper(world.kubernetes.put_stage())
    await first.reconcile_once()
    _ready(world, first)
    world.world.clients.idp.meta.events.register("before-call", _unavailable)

    later = world.keeper(world.kubernetes.stage(first.ref))  # an operator that starts while AWS is down
    await later.reconcile_once()

    assert world.kubernetes.condition(first.ref, "Ready")["status"] == "True"
    provisioned = world.kubernetes.condition(first.ref, "Provisioned")
    assert (provisioned["status"], provisioned["reason"]) == ("Unknown", "Unavailable")
    assert world.kubernetes.condition(first.ref, "Degraded")["status"] == "True"


def _ready(world: KeeperWorld, keeper: Keeper) -> None:
    body = world.kubernetes.objects[keeper.ref.path]
    body["status"]["conditions"].append(
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "m", "lastTransitionTime": "t"}
    )


def _unavailable(**_: object) -> None:
    answer = {"Error": {"Code": "ServiceUnavailable"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    raise ClientError(answer, "Any")  # type: ignore[arg-type]


async def test_a_stage_that_was_never_made_is_neither_provisioned_nor_ready(world: KeeperWorld) -> None:
    world.world.clients.sqs.meta.events.register("before-call", _unavailable)
    keeper = world.keeper(world.kubernetes.put_stage())

    await keeper.reconcile_once()

    assert world.kubernetes.condition(keeper.ref, "Provisioned")["status"] == "False"
    assert world.kubernetes.condition(keeper.ref, "Ready")["reason"] == "NotProvisioned"


async def test_a_queue_that_somebody_put_in_place_of_ours_is_told_as_not_as_it_should_be(world: KeeperWorld) -> None:
    keeper = world.keeper(world.kubernetes.put_stage())
    await keeper.reconcile_once()
    url = (await world.world.sqs.get_queue_url(QueueName="notification-api-dev-tasks"))["QueueUrl"]
    await world.world.sqs.untag_queue(QueueUrl=url, TagKeys=["notification-api.io/owner"])

    await keeper.reconcile_once()

    provisioned = world.kubernetes.condition(keeper.ref, "Provisioned")
    assert (provisioned["status"], provisioned["reason"]) == ("False", "NotOurs")


async def test_a_stage_that_aws_throttles_says_so_and_the_others_are_made(world: KeeperWorld) -> None:
    def throttle(params: Json, **_: object) -> None:
        if "notification-api-hot" in str(params):
            answer = {"Error": {"Code": "RequestThrottled"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "Any")  # type: ignore[arg-type]

    events = world.world.clients.sqs.meta.events
    events.register("before-call", throttle)
    hot, well = (world.keeper(world.kubernetes.put_stage(name)) for name in ("hot", "well"))

    await asyncio.gather(hot.reconcile_once(), well.reconcile_once())

    assert world.kubernetes.condition(well.ref, "Provisioned")["status"] == "True"
    told = world.kubernetes.condition(hot.ref, "Degraded")
    assert (told["reason"], "RequestThrottled" in told["message"]) == ("Unavailable", True)
    events.unregister("before-call", throttle)
    await hot.reconcile_once()
    assert world.kubernetes.condition(hot.ref, "Degraded")["status"] == "False"
