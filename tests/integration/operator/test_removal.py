"""Removing a stage: everything of ours, nothing else, in a safe order, as often as one likes."""

from collections.abc import AsyncIterator, Iterator

import pytest
from botocore.exceptions import ClientError

from k8s.operator.resources.errors import NotOurs, Protected, ResourceUnavailable
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.removal import remove_stage
from k8s.operator.resources.stage import make_stage
from k8s.operator.resources.user_pool_settings import UserPoolSettings
from tests.support.operator.aws_account import World, spec_of, stage_world
from tests.support.processes.ministack import MiniStack, ministack_process


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[World]:
    async with stage_world(stack) as made:
        yield made


async def test_a_removed_stage_leaves_nothing(world: World) -> None:
    await make_stage(world.clients, spec_of())

    await remove_stage(world.clients, spec_of())

    assert await world.everything("") == {"queues": [], "pools": [], "clients": [], "caches": []}


async def test_the_last_record_of_the_cache_outlives_the_cache(world: World) -> None:
    await make_stage(world.clients, spec_of())
    world.calls.forget()

    await remove_stage(world.clients, spec_of())

    assert [call for call in world.calls.writes if call.startswith("Delete")] == [
        "DeleteUserPoolClient",
        "DeleteCache",
        "DeleteUserPool",
        "DeleteQueue",
        "DeleteQueue",
    ]


async def test_removing_twice_is_removing_once(world: World) -> None:
    await make_stage(world.clients, spec_of())
    await remove_stage(world.clients, spec_of())
    world.calls.forget()

    await remove_stage(world.clients, spec_of())

    assert world.calls.writes == []


async def test_every_removal_is_told(world: World) -> None:
    outputs = await make_stage(world.clients, spec_of())
    one_pass = Pass(spec_of().identity)

    await remove_stage(world.clients, spec_of(), one_pass)

    assert one_pass.changes == [
        f"deleted client {outputs.user_pool_client_id} of user pool {outputs.user_pool_id}",
        "deleted Momento cache notification-api-dev",
        f"deleted user pool {outputs.user_pool_id}",
        "deleted queue notification-api-dev-tasks",
        "deleted queue notification-api-dev-dlq",
    ]


async def test_the_neighbouring_stage_stays(world: World) -> None:
    await make_stage(world.clients, spec_of(stage_name="dev"))
    await make_stage(world.clients, spec_of(stage_name="dev-2"))

    await remove_stage(world.clients, spec_of(stage_name="dev"))

    world.calls.forget()
    await make_stage(world.clients, spec_of(stage_name="dev-2"))
    assert world.calls.writes == []


async def test_foreign_resources_of_our_names_stay_and_are_told(world: World) -> None:
    await world.sqs.create_queue(QueueName="notification-api-dev-tasks", tags={"team": "other"})
    pool = (await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool"))["UserPool"]["Id"]
    world.caches.names.add("notification-api-dev")
    one_pass = Pass(spec_of().identity)

    await remove_stage(world.clients, spec_of(), one_pass)

    assert world.calls.writes == []
    assert one_pass.notices == [
        f"user pool {pool} does not belong to this stage and stays",
        "queue notification-api-dev-tasks does not belong to this stage and stays",
    ]
    assert world.caches.names == {"notification-api-dev"}


async def test_a_cache_made_by_somebody_after_ours_was_deleted_stays(world: World) -> None:
    await make_stage(world.clients, spec_of())
    await remove_stage(world.clients, spec_of())
    world.caches.names.add("notification-api-dev")

    await remove_stage(world.clients, spec_of())

    assert world.caches.names == {"notification-api-dev"}


async def test_deletion_protection_stops_the_removal_before_it_starts(world: World) -> None:
    await make_stage(world.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=True)))
    before = await world.everything("")
    world.calls.forget()

    with pytest.raises(Protected, match="protected against deletion"):
        await remove_stage(world.clients, spec_of())

    assert world.calls.writes == []
    assert await world.everything("") == before


async def test_a_stage_can_be_made_again_after_its_removal(world: World) -> None:
    first = await make_stage(world.clients, spec_of())
    await remove_stage(world.clients, spec_of())

    again = await make_stage(world.clients, spec_of())

    assert again.queue_url == first.queue_url
    assert again.user_pool_id != first.user_pool_id


async def test_a_queue_name_deleted_a_moment_ago_is_a_matter_of_waiting(world: World) -> None:
    # SQS refuses the name for 60 s; MiniStack frees it at once, so its answer is put in here.
    refusing = True

    def refuse(**_: object) -> None:
        if refusing:
            answer = {"Error": {"Code": "AWS.SimpleQueueService.QueueDeletedRecently", "Message": "wait 60 seconds"}}
            raise ClientError(answer, "CreateQueue")  # type: ignore[arg-type]

    world.clients.sqs.meta.events.register("before-call.sqs.CreateQueue", refuse)

    with pytest.raises(ResourceUnavailable, match="sqs:CreateQueue on notification-api-dev-dlq") as refused:
        await make_stage(world.clients, spec_of())
    assert refused.value.retry_after_seconds == 60

    refusing = False
    await make_stage(world.clients, spec_of())


async def test_a_queue_made_by_somebody_between_look_and_creation_is_not_taken(world: World) -> None:
    async def overtake(**_: object) -> None:
        await world.sqs.create_queue(QueueName="notification-api-dev-dlq")

    world.clients.sqs.meta.events.register("before-call.sqs.CreateQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it

    with pytest.raises(ResourceUnavailable):  # by MiniStack's answer or by the missing tags: look again
        await make_stage(world.clients, spec_of())
    with pytest.raises(NotOurs):
        await make_stage(world.clients, spec_of())

    assert await world.queue_tags("notification-api-dev-dlq") == {}
