"""What a person protects or tightens by hand stays; what is weaker than the stage's own setting is mended."""

from typing import Any

import pytest

from k8s.operator.resources.queue_attributes import QueueSettings
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import provision_stage
from k8s.operator.resources.user_pool import UserPoolSettings
from tests.support.operator.aws_account import AwsAccount, spec_of

POLICY: dict[str, Any] = {
    "MinimumLength": 12,
    "RequireUppercase": True,
    "RequireLowercase": True,
    "RequireNumbers": True,
    "RequireSymbols": False,
    "TemporaryPasswordValidityDays": 7,
}
SRP, REFRESH = "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"
MINUTES = {"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "days"}


async def update_pool(aws_account: AwsAccount, **changes: Any) -> None:
    """As a person would in the console: this changes, the rest stays."""
    [pool] = await aws_account.user_pools()
    kept = {key: pool[key] for key in ("Policies", "AutoVerifiedAttributes", "AccountRecoverySetting")}
    arguments: dict[str, Any] = {**kept, "DeletionProtection": pool["DeletionProtection"], **changes}
    await aws_account.idp.update_user_pool(UserPoolId=pool["Id"], **arguments)
    aws_account.calls.reset()


async def update_client(aws_account: AwsAccount, **changes: Any) -> None:
    """As a person would in the console."""
    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    await aws_account.idp.update_user_pool_client(UserPoolId=pool["Id"], ClientId=client["ClientId"], **changes)
    aws_account.calls.reset()


@pytest.mark.parametrize("asked", [None, False, True])
async def test_deletion_protection_that_a_person_turned_on_stays(aws_account: AwsAccount, asked: bool | None) -> None:
    spec = spec_of() if asked is None else spec_of(user_pool=UserPoolSettings(deletion_protection=asked))
    await provision_stage(aws_account.clients, spec)
    await update_pool(aws_account, DeletionProtection="ACTIVE")

    await provision_stage(aws_account.clients, spec)

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"
    assert aws_account.calls.writes == []


async def test_protection_that_was_asked_for_once_stays_when_it_is_not_any_more(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=True)))

    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=False)))

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_protection_that_is_asked_for_is_set_again(aws_account: AwsAccount) -> None:
    spec = spec_of(user_pool=UserPoolSettings(deletion_protection=True))
    await provision_stage(aws_account.clients, spec)
    await update_pool(aws_account, DeletionProtection="INACTIVE")

    await provision_stage(aws_account.clients, spec)

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_protection_outlives_the_repair_of_another_setting(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, DeletionProtection="ACTIVE", AutoVerifiedAttributes=[])

    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    assert (pool["DeletionProtection"], pool["AutoVerifiedAttributes"]) == ("ACTIVE", ["email"])


async def test_protection_turned_on_while_another_setting_is_repaired_stays(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, AutoVerifiedAttributes=[])

    async def protect(**_: object) -> None:  # after the pass has read the pool, before it writes
        [pool] = await aws_account.user_pools()
        await aws_account.idp.update_user_pool(UserPoolId=pool["Id"], DeletionProtection="ACTIVE")

    aws_account.clients.idp.meta.events.register("before-call.cognito-idp.UpdateUserPool", protect)  # type: ignore[arg-type] # aiobotocore awaits it
    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_an_adopted_pools_protection_stays(aws_account: AwsAccount) -> None:
    await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"], DeletionProtection="ACTIVE"
    )

    await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


@pytest.mark.parametrize(
    "stricter",
    [
        {"MinimumLength": 20},
        {"RequireSymbols": True},
        {"TemporaryPasswordValidityDays": 1},
        {"MinimumLength": 16, "RequireSymbols": True, "TemporaryPasswordValidityDays": 3},
    ],
)
async def test_a_stricter_password_policy_stays(aws_account: AwsAccount, stricter: dict[str, Any]) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, Policies={"PasswordPolicy": POLICY | stricter})

    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.user_pools())[0]["Policies"]["PasswordPolicy"] == POLICY | stricter
    assert aws_account.calls.writes == []


@pytest.mark.parametrize(
    "weaker",
    [
        {"MinimumLength": 6},
        {"RequireUppercase": False},
        {"RequireLowercase": False},
        {"RequireNumbers": False},
        {"TemporaryPasswordValidityDays": 30},
    ],
)
async def test_of_a_password_policy_only_what_is_weaker_is_mended(
    aws_account: AwsAccount, weaker: dict[str, Any]
) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, Policies={"PasswordPolicy": POLICY | {"RequireSymbols": True} | weaker})

    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.user_pools())[0]["Policies"]["PasswordPolicy"] == POLICY | {"RequireSymbols": True}


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({"AutoVerifiedAttributes": ["email", "phone_number"]}, True),
        ({"AutoVerifiedAttributes": ["phone_number"]}, False),
        ({"AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]}}, True),
        ({"AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_phone_number"}]}}, False),
        ({"MfaConfiguration": "OPTIONAL"}, True),
        ({"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}, True),
    ],
)
async def test_other_settings_of_a_pool_stay_where_they_are_no_weaker(
    aws_account: AwsAccount, changes: dict[str, Any], stays: bool
) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, **changes)

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == ([] if stays else ["UpdateUserPool"])


async def test_a_repair_of_verified_attributes_takes_none_away(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, AutoVerifiedAttributes=["phone_number"])

    await provision_stage(aws_account.clients, spec_of())

    assert sorted((await aws_account.user_pools())[0]["AutoVerifiedAttributes"]) == ["email", "phone_number"]


@pytest.mark.parametrize(
    "shorter",
    [
        {"IdTokenValidity": 15, "AccessTokenValidity": 15, "RefreshTokenValidity": 30, "TokenValidityUnits": MINUTES},
        {"RefreshTokenValidity": 1, "TokenValidityUnits": MINUTES},
        {"RefreshTokenValidity": 12, "TokenValidityUnits": MINUTES | {"RefreshToken": "hours"}},
        {"IdTokenValidity": 1, "TokenValidityUnits": MINUTES | {"IdToken": "hours"}},
    ],
)
async def test_tokens_that_a_person_made_shorter_lived_stay_so(
    aws_account: AwsAccount, shorter: dict[str, Any]
) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_client(aws_account, **shorter)

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


@pytest.mark.parametrize(
    "longer",
    [
        {"IdTokenValidity": 120, "TokenValidityUnits": MINUTES},
        {"AccessTokenValidity": 2, "TokenValidityUnits": MINUTES | {"AccessToken": "hours"}},
        {"RefreshTokenValidity": 365, "TokenValidityUnits": MINUTES},
        {"PreventUserExistenceErrors": "LEGACY"},
        {"EnableTokenRevocation": False},
        {"ExplicitAuthFlows": [REFRESH]},
    ],
)
async def test_a_weaker_or_broken_client_is_mended(aws_account: AwsAccount, longer: dict[str, Any]) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_client(aws_account, **longer)

    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    assert (client["IdTokenValidity"], client["AccessTokenValidity"], client["RefreshTokenValidity"]) == (60, 60, 30)
    assert client["TokenValidityUnits"] == MINUTES
    assert (client["PreventUserExistenceErrors"], client["EnableTokenRevocation"]) == ("ENABLED", True)
    assert sorted(client["ExplicitAuthFlows"]) == [REFRESH, SRP]


async def test_a_queue_encrypted_with_a_persons_key_stays_so(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    for url in (outputs.queue_url, outputs.dead_letter_queue_url):  # as SQS does: the one switches the other off
        await aws_account.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/theirs", "SqsManagedSseEnabled": "false"}
        )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_a_queues_policy_and_its_refusal_to_be_a_dead_letter_queue_stay(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    policy = '{"Version":"2012-10-17","Statement":[]}'
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url,
        Attributes={"Policy": policy, "RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'},
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_messages_that_a_person_retains_longer_are_not_deleted_by_a_repair(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"MessageRetentionPeriod": str(10 * 86_400), "VisibilityTimeout": "7"}
    )

    await provision_stage(aws_account.clients, spec_of())

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    assert (attributes["MessageRetentionPeriod"], attributes["VisibilityTimeout"]) == ("864000", "30")


@pytest.mark.parametrize("seconds", [3_600, 1_209_600])
async def test_a_retention_that_the_spec_names_is_set_exactly(aws_account: AwsAccount, seconds: int) -> None:
    await provision_stage(aws_account.clients, spec_of())
    log = ReconcileLog(spec_of().identity)

    await provision_stage(aws_account.clients, spec_of(queue=QueueSettings(task_retention_seconds=seconds)), log)

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    assert attributes["MessageRetentionPeriod"] == str(seconds)
    assert log.changes == ["set MessageRetentionPeriod of queue notification-api-dev-tasks"]
