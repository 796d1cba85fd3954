"""A stage is provisioned as specified; an unchanged one costs no write, and drift is corrected."""

import json

import aiohttp

from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import provision_stage
from tests.support.operator.aws_account import AwsAccount, spec_of
from tests.support.processes.ministack import REGION, MiniStack

TAGS = {
    "notification-api.io/service": "notification-api",
    "notification-api.io/stage": "dev",
    "notification-api.io/cluster": "test-cluster",
    "notification-api.io/owner": "dev/stage",
}


async def test_all_resources_of_a_stage_are_created(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    assert await aws_account.everything("notification-api") == {
        "queues": ["notification-api-dev-dlq", "notification-api-dev-tasks"],
        "pools": ["notification-api-dev-UserPool"],
        "clients": ["notification-api-dev-UserPoolClient"],
        "caches": ["notification-api-dev"],
    }


async def test_the_outputs_have_what_services_need(aws_account: AwsAccount, aws: MiniStack) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    assert outputs.queue_url.endswith("/notification-api-dev-tasks")
    assert outputs.dead_letter_queue_url.endswith("/notification-api-dev-dlq")
    assert outputs.queue_arn == (await aws_account.queue_attributes("notification-api-dev-tasks"))["QueueArn"]
    assert outputs.dead_letter_queue_arn == (await aws_account.queue_attributes("notification-api-dev-dlq"))["QueueArn"]
    assert (outputs.user_pool_id, outputs.user_pool_client_id) == (pool["Id"], client["ClientId"])
    assert outputs.issuer == f"https://cognito-idp.{REGION}.amazonaws.com/{pool['Id']}"
    assert outputs.cache_name == "notification-api-dev"


async def test_the_key_set_has_the_url_of_the_outputs(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())

    async with aiohttp.ClientSession() as http, http.get(outputs.jwks_url) as answer:
        assert answer.status == 200
        assert (await answer.json())["keys"]


async def test_all_taggable_resources_have_the_stages_tags(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    for tags in (
        await aws_account.queue_tags("notification-api-dev-tasks"),
        await aws_account.queue_tags("notification-api-dev-dlq"),
        pool["UserPoolTags"],
    ):
        assert tags == TAGS | {"notification-api.io/made-cache": "notification-api-dev"}


async def test_the_task_queue_is_as_specified(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    dead_letter = await aws_account.queue_attributes("notification-api-dev-dlq")
    assert attributes["VisibilityTimeout"] == "30"
    assert attributes["ReceiveMessageWaitTimeSeconds"] == "20"
    assert attributes["MessageRetentionPeriod"] == str(4 * 86_400)
    assert int(attributes["MaximumMessageSize"]) == 1_048_576
    assert attributes["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead_letter["QueueArn"],
        "maxReceiveCount": 10,
    }


async def test_the_dead_letter_queue_has_the_longest_retention_and_accepts_only_the_task_queue(
    aws_account: AwsAccount,
) -> None:
    await provision_stage(aws_account.clients, spec_of())

    attributes = await aws_account.queue_attributes("notification-api-dev-dlq")
    assert attributes["MessageRetentionPeriod"] == str(14 * 86_400)
    assert attributes["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [(await aws_account.queue_attributes("notification-api-dev-tasks"))["QueueArn"]],
    }
    assert "RedrivePolicy" not in attributes


async def test_the_redrive_permission_is_set_before_the_redrive_policy(aws_account: AwsAccount) -> None:
    log = ReconcileLog(spec_of().identity)

    await provision_stage(aws_account.clients, spec_of(), log)

    assert [change for change in log.changes if change.startswith("set")] == [
        "set RedriveAllowPolicy of queue notification-api-dev-dlq",
        "set RedrivePolicy of queue notification-api-dev-tasks",
    ]


async def test_users_sign_in_with_a_verified_email(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [{"Priority": 1, "Name": "verified_email"}]
    assert pool["DeletionProtection"] == "INACTIVE"


async def test_the_client_uses_srp_without_a_secret(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    assert sorted(client["ExplicitAuthFlows"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert "ClientSecret" not in client
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert (client["IdTokenValidity"], client["RefreshTokenValidity"]) == (60, 30)
    assert client["TokenValidityUnits"]["IdToken"] == "minutes"
    assert client["TokenValidityUnits"]["RefreshToken"] == "days"


async def test_an_unchanged_stage_costs_no_write(aws_account: AwsAccount) -> None:
    first = await provision_stage(aws_account.clients, spec_of())
    aws_account.calls.reset()
    log = ReconcileLog(spec_of().identity)

    assert await provision_stage(aws_account.clients, spec_of(), log) == first

    assert aws_account.calls.writes == []
    assert log.changes == []
    assert len(aws_account.calls.made) > 5  # otherwise no calls were recorded


async def test_every_write_is_logged(aws_account: AwsAccount) -> None:
    log = ReconcileLog(spec_of().identity)

    await provision_stage(aws_account.clients, spec_of(), log)

    assert [change for change in log.changes if change.startswith("created")] == [
        "created queue notification-api-dev-dlq",
        "created queue notification-api-dev-tasks",
        f"created user pool notification-api-dev-UserPool ({(await aws_account.user_pools())[0]['Id']})",
        f"created client notification-api-dev-UserPoolClient in user pool {(await aws_account.user_pools())[0]['Id']}",
        "created Momento cache notification-api-dev",
    ]


async def test_two_stages_share_no_resource(aws_account: AwsAccount) -> None:
    one = await provision_stage(aws_account.clients, spec_of(stage_name="one"))
    other = await provision_stage(aws_account.clients, spec_of(stage_name="other"))

    assert one.queue_url != other.queue_url
    assert one.user_pool_id != other.user_pool_id
    assert one.user_pool_client_id != other.user_pool_client_id
    assert aws_account.caches.names == {"notification-api-one", "notification-api-other"}


async def test_a_pool_beyond_the_first_page_is_found_again(aws_account: AwsAccount) -> None:
    for number in range(65):
        await aws_account.idp.create_user_pool(PoolName=f"foreign-{number}")
    first = await provision_stage(aws_account.clients, spec_of())
    aws_account.calls.reset()

    assert await provision_stage(aws_account.clients, spec_of()) == first

    assert aws_account.calls.made.count("ListUserPools") == 2
    assert aws_account.calls.writes == []
