"""Drift of the settings that the stage manages is corrected with the fewest writes; other settings are unchanged."""

import json
from typing import Any

import pytest

from k8s.operator.resources.drift import complete_cognito_update
from k8s.operator.resources.queue_attributes import QueueSettings
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import provision_stage
from k8s.operator.resources.user_pool import UserPoolSettings
from tests.support.operator.aws_account import AwsAccount, spec_of


async def test_only_the_attribute_that_differs_is_written(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"VisibilityTimeout": "1", "DelaySeconds": "7"}
    )
    aws_account.calls.reset()
    log, sent = ReconcileLog(spec_of().identity), list[object]()
    aws_account.clients.sqs.meta.events.register(
        "before-parameter-build.sqs.SetQueueAttributes", lambda params, **_: sent.append(params["Attributes"])
    )

    await provision_stage(aws_account.clients, spec_of(), log)

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    assert sent == [{"VisibilityTimeout": "30"}]
    assert attributes["VisibilityTimeout"] == "30"
    assert attributes["DelaySeconds"] == "7"  # not managed by the stage
    assert aws_account.calls.writes == ["SetQueueAttributes"]
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
async def test_drift_of_a_queue_is_corrected(aws_account: AwsAccount, queue: str, attribute: Any, value: str) -> None:
    await provision_stage(aws_account.clients, spec_of())
    before = await aws_account.queue_attributes(f"notification-api-dev-{queue}")
    url = (await aws_account.sqs.get_queue_url(QueueName=f"notification-api-dev-{queue}"))["QueueUrl"]
    await aws_account.sqs.set_queue_attributes(QueueUrl=url, Attributes={attribute: value})
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.queue_attributes(f"notification-api-dev-{queue}"))[attribute] == before[attribute]
    assert aws_account.calls.writes == ["SetQueueAttributes"]


async def test_an_equivalent_policy_is_no_drift(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    policy = {"maxReceiveCount": "10", "deadLetterTargetArn": outputs.dead_letter_queue_arn}
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"RedrivePolicy": json.dumps(policy, indent=2)}
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_a_changed_spec_is_written(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    changed = spec_of(
        queue=QueueSettings(visibility_timeout_seconds=90, max_receive_count=6),
        user_pool=UserPoolSettings(deletion_protection=True, password_min_characters=16),
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, changed)

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    [pool] = await aws_account.user_pools()
    assert attributes["VisibilityTimeout"] == "90"
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 6
    assert (pool["DeletionProtection"], pool["Policies"]["PasswordPolicy"]["MinimumLength"]) == ("ACTIVE", 16)
    assert aws_account.calls.writes == ["SetQueueAttributes", "SetQueueAttributes", "UpdateUserPool"]


async def test_drift_of_a_user_pool_is_corrected_and_other_settings_are_kept(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    message = "Your code is {####}."
    await aws_account.idp.update_user_pool(
        UserPoolId=outputs.user_pool_id,
        Policies={"PasswordPolicy": {"MinimumLength": 6}},
        AutoVerifiedAttributes=[],
        EmailVerificationMessage=message,
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["EmailVerificationMessage"] == message
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["UserPoolTags"].items() >= spec_of().identity.tags().items()
    assert aws_account.calls.writes == ["UpdateUserPool"]


async def test_an_update_includes_the_settings_that_cognito_would_reset(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    [pool] = await aws_account.user_pools()
    pool["AdminCreateUserConfig"] = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 7}

    sent = complete_cognito_update(
        aws_account.idp, "UpdateUserPool", pool, {"Policies": {"PasswordPolicy": {"MinimumLength": 20}}}
    )

    assert sent["AdminCreateUserConfig"] == {
        "AllowAdminCreateUserOnly": True
    }  # the other setting is refused in an update
    assert sent["UserPoolTags"] == pool["UserPoolTags"]
    assert sent["AutoVerifiedAttributes"] == ["email"]
    assert sent["Policies"] == {"PasswordPolicy": pool["Policies"]["PasswordPolicy"] | {"MinimumLength": 20}}
    assert not {"Id", "Arn", "Name", "SchemaAttributes", "UsernameAttributes", "CreationDate"} & sent.keys()
    assert "" not in sent.values()


async def test_drift_of_a_client_is_corrected_and_other_settings_are_kept(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.idp.update_user_pool_client(
        UserPoolId=outputs.user_pool_id,
        ClientId=outputs.user_pool_client_id,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        PreventUserExistenceErrors="LEGACY",
        CallbackURLs=["https://example.com/back"],
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    [client] = await aws_account.user_pool_clients(outputs.user_pool_id)
    assert sorted(client["ExplicitAuthFlows"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["CallbackURLs"] == ["https://example.com/back"]
    assert aws_account.calls.writes == ["UpdateUserPoolClient"]


async def test_flows_in_another_order_are_no_drift(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    [client] = await aws_account.user_pool_clients(outputs.user_pool_id)
    await aws_account.idp.update_user_pool_client(
        UserPoolId=outputs.user_pool_id,
        ClientId=outputs.user_pool_client_id,
        ExplicitAuthFlows=list(reversed(client["ExplicitAuthFlows"])),
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_a_deleted_resource_is_created_again(aws_account: AwsAccount) -> None:
    first = await provision_stage(aws_account.clients, spec_of())
    await aws_account.sqs.delete_queue(QueueUrl=first.dead_letter_queue_url)
    await aws_account.idp.delete_user_pool_client(UserPoolId=first.user_pool_id, ClientId=first.user_pool_client_id)
    aws_account.caches.names.clear()

    again = await provision_stage(aws_account.clients, spec_of())

    assert again.user_pool_id == first.user_pool_id
    assert again.user_pool_client_id != first.user_pool_client_id
    assert await aws_account.queue_names() == ["notification-api-dev-dlq", "notification-api-dev-tasks"]
    assert aws_account.caches.names == {"notification-api-dev"}


async def test_the_cache_tag_survives_the_loss_of_one_tagged_resource(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.sqs.delete_queue(QueueUrl=outputs.dead_letter_queue_url)

    await provision_stage(aws_account.clients, spec_of())  # would be NotOwnedError if only that queue had the tag

    tags = await aws_account.queue_tags("notification-api-dev-dlq")
    assert tags["notification-api.io/made-cache"] == "notification-api-dev"
