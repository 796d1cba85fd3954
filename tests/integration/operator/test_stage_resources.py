"""A stage is made as specified, costs no write when it is, and is mended when it is not."""

import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import provision_stage
from tests.support.operator.aws_account import World, spec_of, stage_world
from tests.support.processes.ministack import REGION, MiniStack, ministack_process

TAGS = {
    "notification-api.io/service": "notification-api",
    "notification-api.io/stage": "dev",
    "notification-api.io/cluster": "test-cluster",
    "notification-api.io/owner": "dev/stage",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[World]:
    async with stage_world(stack) as made:
        yield made


async def test_a_stage_is_made_whole(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    assert await world.everything("notification-api") == {
        "queues": ["notification-api-dev-dlq", "notification-api-dev-tasks"],
        "pools": ["notification-api-dev-UserPool"],
        "clients": ["notification-api-dev-UserPoolClient"],
        "caches": ["notification-api-dev"],
    }


async def test_the_outputs_are_what_services_need(world: World, stack: MiniStack) -> None:
    outputs = await provision_stage(world.clients, spec_of())

    [pool] = await world.user_pools()
    [client] = await world.user_pool_clients(pool["Id"])
    assert outputs.queue_url.endswith("/notification-api-dev-tasks")
    assert outputs.dead_letter_queue_url.endswith("/notification-api-dev-dlq")
    assert outputs.queue_arn == (await world.queue_attributes("notification-api-dev-tasks"))["QueueArn"]
    assert outputs.dead_letter_queue_arn == (await world.queue_attributes("notification-api-dev-dlq"))["QueueArn"]
    assert (outputs.user_pool_id, outputs.user_pool_client_id) == (pool["Id"], client["ClientId"])
    assert outputs.issuer == f"https://cognito-idp.{REGION}.amazonaws.com/{pool['Id']}"
    assert outputs.cache_name == "notification-api-dev"


async def test_the_key_set_is_where_the_outputs_say(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())

    async with aiohttp.ClientSession() as http, http.get(outputs.jwks_url) as answer:
        assert answer.status == 200
        assert (await answer.json())["keys"]


async def test_everything_that_can_carries_the_stages_tags(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    [pool] = await world.user_pools()
    for tags in (
        await world.queue_tags("notification-api-dev-tasks"),
        await world.queue_tags("notification-api-dev-dlq"),
        pool["UserPoolTags"],
    ):
        assert tags == TAGS | {"notification-api.io/made-cache": "notification-api-dev"}


async def test_the_task_queue_is_as_specified(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    attributes = await world.queue_attributes("notification-api-dev-tasks")
    dead_letter = await world.queue_attributes("notification-api-dev-dlq")
    assert attributes["VisibilityTimeout"] == "30"
    assert attributes["ReceiveMessageWaitTimeSeconds"] == "20"
    assert attributes["MessageRetentionPeriod"] == str(4 * 86_400)
    assert int(attributes["MaximumMessageSize"]) == 1_048_576
    assert attributes["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead_letter["QueueArn"],
        "maxReceiveCount": 10,
    }


async def test_the_dead_letter_queue_keeps_longest_and_takes_from_the_task_queue_only(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    attributes = await world.queue_attributes("notification-api-dev-dlq")
    assert attributes["MessageRetentionPeriod"] == str(14 * 86_400)
    assert attributes["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [(await world.queue_attributes("notification-api-dev-tasks"))["QueueArn"]],
    }
    assert "RedrivePolicy" not in attributes


async def test_the_permission_to_redrive_comes_before_the_redrive(world: World) -> None:
    log = ReconcileLog(spec_of().identity)

    await provision_stage(world.clients, spec_of(), log)

    assert [change for change in log.changes if change.startswith("set")] == [
        "set RedriveAllowPolicy of queue notification-api-dev-dlq",
        "set RedrivePolicy of queue notification-api-dev-tasks",
    ]


async def test_users_sign_in_with_a_verified_email(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    [pool] = await world.user_pools()
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [{"Priority": 1, "Name": "verified_email"}]
    assert pool["DeletionProtection"] == "INACTIVE"


async def test_the_client_signs_in_by_srp_without_a_secret(world: World) -> None:
    await provision_stage(world.clients, spec_of())

    [pool] = await world.user_pools()
    [client] = await world.user_pool_clients(pool["Id"])
    assert sorted(client["ExplicitAuthFlows"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert "ClientSecret" not in client
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert (client["IdTokenValidity"], client["RefreshTokenValidity"]) == (60, 30)
    assert client["TokenValidityUnits"]["IdToken"] == "minutes"
    assert client["TokenValidityUnits"]["RefreshToken"] == "days"


async def test_an_unchanged_stage_costs_no_write(world: World) -> None:
    first = await provision_stage(world.clients, spec_of())
    world.calls.forget()
    log = ReconcileLog(spec_of().identity)

    assert await provision_stage(world.clients, spec_of(), log) == first

    assert world.calls.writes == []
    assert log.changes == []
    assert len(world.calls.made) > 5  # else nothing was counted


async def test_every_write_is_told(world: World) -> None:
    log = ReconcileLog(spec_of().identity)

    await provision_stage(world.clients, spec_of(), log)

    assert [change for change in log.changes if change.startswith("created")] == [
        "created queue notification-api-dev-dlq",
        "created queue notification-api-dev-tasks",
        f"created user pool notification-api-dev-UserPool ({(await world.user_pools())[0]['Id']})",
        f"created client notification-api-dev-UserPoolClient in user pool {(await world.user_pools())[0]['Id']}",
        "created Momento cache notification-api-dev",
    ]


async def test_two_stages_are_two(world: World) -> None:
    one = await provision_stage(world.clients, spec_of(stage_name="one"))
    other = await provision_stage(world.clients, spec_of(stage_name="other"))

    assert one.queue_url != other.queue_url
    assert one.user_pool_id != other.user_pool_id
    assert one.user_pool_client_id != other.user_pool_client_id
    assert world.caches.names == {"notification-api-one", "notification-api-other"}


async def test_a_pool_beyond_the_first_page_is_found_again(world: World) -> None:
    for number in range(65):
        await world.idp.create_user_pool(PoolName=f"somebody-elses-{number}")
    first = await provision_stage(world.clients, spec_of())
    world.calls.forget()

    assert await provision_stage(world.clients, spec_of()) == first

    assert world.calls.made.count("ListUserPools") == 2
    assert world.calls.writes == []
