"""Settings that the stage keeps are mended, with as few writes as there are differences; others are left alone."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from k8s.operator.resources.drift import complete_cognito_update
from k8s.operator.resources.queue_attributes import QueueSettings
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import provision_stage
from k8s.operator.resources.user_pool import UserPoolSettings
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


async def test_only_the_attribute_that_differs_is_written(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    await world.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"VisibilityTimeout": "1", "DelaySeconds": "7"}
    )
    world.calls.forget()
    log, sent = ReconcileLog(spec_of().identity), list[object]()
    world.clients.sqs.meta.events.register(
        "before-parameter-build.sqs.SetQueueAttributes", lambda params, **_: sent.append(params["Attributes"])
    )

    await provision_stage(world.clients, spec_of(), log)

    attributes = await world.queue_attributes("notification-api-dev-tasks")
    assert sent == [{"VisibilityTimeout": "30"}]
    assert attributes["VisibilityTimeout"] == "30"
    assert attributes["DelaySeconds"] == "7"  # not one that the stage keeps
    assert world.calls.writes == ["SetQueueAttributes"]
    assert log.changes == ["set VisibilityTimeout of queue notification-api-dev-tasks"]


@pytest.mark.parametrize(
    ("queue", "attribute", "value"),
    [
        ("tasks", "RedrivePolicy", ""),
        ("tasks", "MessageRetentionPeriod", "60"),
        ("tasks", "SqsManagedSseEnabled", "false"),
        ("tasks", "MaximumMessageSize", "1024"),
        ("tasks", "ReceiveMessageWaitTimeSeconds", "0"),
        ("dlq", "RedriveAllowPolicy", json.dumps({"redrivePermission": "denyAll"})),
        ("dlq", "MessageRetentionPeriod", "60"),
    ],
)
async def test_a_queues_drift_is_mended(world: World, queue: str, attribute: Any, value: str) -> None:
    await provision_stage(world.clients, spec_of())
    before = await world.queue_attributes(f"notification-api-dev-{queue}")
    url = (await world.sqs.get_queue_url(QueueName=f"notification-api-dev-{queue}"))["QueueUrl"]
    await world.sqs.set_queue_attributes(QueueUrl=url, Attributes={attribute: value})
    world.calls.forget()

    await provision_stage(world.clients, spec_of())

    assert (await world.queue_attributes(f"notification-api-dev-{queue}"))[attribute] == before[attribute]
    assert world.calls.writes == ["SetQueueAttributes"]


async def test_a_policy_that_says_the_same_in_other_words_is_no_drift(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    policy = {"maxReceiveCount": "10", "deadLetterTargetArn": outputs.dead_letter_queue_arn}
    await world.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"RedrivePolicy": json.dumps(policy, indent=2)}
    )
    world.calls.forget()

    await provision_stage(world.clients, spec_of())

    assert world.calls.writes == []


async def test_a_changed_spec_is_written(world: World) -> None:
    await provision_stage(world.clients, spec_of())
    changed = spec_of(
        queue=QueueSettings(visibility_timeout_seconds=90, max_receive_count=6),
        user_pool=UserPoolSettings(deletion_protection=True, password_min_characters=16),
    )
    world.calls.forget()

    await provision_stage(world.clients, changed)

    attributes = await world.queue_attributes("notification-api-dev-tasks")
    [pool] = await world.user_pools()
    assert attributes["VisibilityTimeout"] == "90"
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 6
    assert (pool["DeletionProtection"], pool["Policies"]["PasswordPolicy"]["MinimumLength"]) == ("ACTIVE", 16)
    assert world.calls.writes == ["SetQueueAttributes", "SetQueueAttributes", "UpdateUserPool"]


async def test_a_user_pools_drift_is_mended_and_the_rest_of_it_kept(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    message = "Your code is {####}."
    await world.idp.update_user_pool(
        UserPoolId=outputs.user_pool_id,
        Policies={"PasswordPolicy": {"MinimumLength": 6}},
        AutoVerifiedAttributes=[],
        EmailVerificationMessage=message,
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
    )
    world.calls.forget()

    await provision_stage(world.clients, spec_of())

    [pool] = await world.user_pools()
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["EmailVerificationMessage"] == message
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["UserPoolTags"].items() >= spec_of().identity.tags().items()
    assert world.calls.writes == ["UpdateUserPool"]


async def test_an_update_sends_all_that_cognito_would_reset_if_it_were_left_out(world: World) -> None:
    await provision_stage(world.clients, spec_of())
    [pool] = await world.user_pools()
    pool["AdminCreateUserConfig"] = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 7}

    sent = complete_cognito_update(
        world.idp, "UpdateUserPool", pool, {"Policies": {"PasswordPolicy": {"MinimumLength": 20}}}
    )

    assert sent["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}  # the other is refused in an update
    assert sent["UserPoolTags"] == pool["UserPoolTags"]
    assert sent["AutoVerifiedAttributes"] == ["email"]
    assert sent["Policies"] == {"PasswordPolicy": pool["Policies"]["PasswordPolicy"] | {"MinimumLength": 20}}
    assert not {"Id", "Arn", "Name", "SchemaAttributes", "UsernameAttributes", "CreationDate"} & sent.keys()
    assert "" not in sent.values()


async def test_a_clients_drift_is_mended_and_the_rest_of_it_kept(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    await world.idp.update_user_pool_client(
        UserPoolId=outputs.user_pool_id,
        ClientId=outputs.user_pool_client_id,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        PreventUserExistenceErrors="LEGACY",
        CallbackURLs=["https://example.com/back"],
    )
    world.calls.forget()

    await provision_stage(world.clients, spec_of())

    [client] = await world.user_pool_clients(outputs.user_pool_id)
    assert sorted(client["ExplicitAuthFlows"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["CallbackURLs"] == ["https://example.com/back"]
    assert world.calls.writes == ["UpdateUserPoolClient"]


async def test_flows_in_another_order_are_no_drift(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    [client] = await world.user_pool_clients(outputs.user_pool_id)
    await world.idp.update_user_pool_client(
        UserPoolId=outputs.user_pool_id,
        ClientId=outputs.user_pool_client_id,
        ExplicitAuthFlows=list(reversed(client["ExplicitAuthFlows"])),
    )
    world.calls.forget()

    await provision_stage(world.clients, spec_of())

    assert world.calls.writes == []


async def test_what_somebody_deleted_is_made_again(world: World) -> None:
    first = await provision_stage(world.clients, spec_of())
    await world.sqs.delete_queue(QueueUrl=first.dead_letter_queue_url)
    await world.idp.delete_user_pool_client(UserPoolId=first.user_pool_id, ClientId=first.user_pool_client_id)
    world.caches.names.clear()

    again = await provision_stage(world.clients, spec_of())

    assert again.user_pool_id == first.user_pool_id
    assert again.user_pool_client_id != first.user_pool_client_id
    assert await world.queue_names() == ["notification-api-dev-dlq", "notification-api-dev-tasks"]
    assert world.caches.names == {"notification-api-dev"}


async def test_the_ledger_outlives_the_loss_of_one_carrier(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    await world.sqs.delete_queue(QueueUrl=outputs.dead_letter_queue_url)

    await provision_stage(world.clients, spec_of())  # would be NotOwnedError if the record had been there only

    tags = await world.queue_tags("notification-api-dev-dlq")
    assert tags["notification-api.io/made-cache"] == "notification-api-dev"
