"""Protection and stricter settings that a person sets are kept; settings weaker than the stage's are corrected."""

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
    """Change these settings and keep the others, as a person would in the console."""
    [pool] = await aws_account.user_pools()
    unchanged = {key: pool[key] for key in ("Policies", "AutoVerifiedAttributes", "AccountRecoverySetting")}
    arguments: dict[str, Any] = {**unchanged, "DeletionProtection": pool["DeletionProtection"], **changes}
    await aws_account.idp.update_user_pool(UserPoolId=pool["Id"], **arguments)
    aws_account.calls.reset()


async def update_client(aws_account: AwsAccount, **changes: Any) -> None:
    """Change these settings, as a person would in the console."""
    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    await aws_account.idp.update_user_pool_client(UserPoolId=pool["Id"], ClientId=client["ClientId"], **changes)
    aws_account.calls.reset()


@pytest.mark.parametrize("asked", [None, False, True])
async def test_deletion_protection_that_a_person_enabled_is_kept(aws_account: AwsAccount, asked: bool | None) -> None:
    spec = spec_of() if asked is None else spec_of(user_pool=UserPoolSettings(deletion_protection=asked))
    await provision_stage(aws_account.clients, spec)
    await update_pool(aws_account, DeletionProtection="ACTIVE")

    await provision_stage(aws_account.clients, spec)

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"
    assert aws_account.calls.writes == []


async def test_protection_is_kept_when_the_spec_no_longer_requires_it(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=True)))

    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=False)))

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_required_protection_is_restored(aws_account: AwsAccount) -> None:
    spec = spec_of(user_pool=UserPoolSettings(deletion_protection=True))
    await provision_stage(aws_account.clients, spec)
    await update_pool(aws_account, DeletionProtection="INACTIVE")

    await provision_stage(aws_account.clients, spec)

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_correcting_another_setting_keeps_protection(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, DeletionProtection="ACTIVE", AutoVerifiedAttributes=[])

    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    assert (pool["DeletionProtection"], pool["AutoVerifiedAttributes"]) == ("ACTIVE", ["email"])


async def test_protection_enabled_while_another_setting_is_corrected_is_kept(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, AutoVerifiedAttributes=[])

    async def protect(**_: object) -> None:  # after the reconcile has read the pool, before it writes
        [pool] = await aws_account.user_pools()
        await aws_account.idp.update_user_pool(UserPoolId=pool["Id"], DeletionProtection="ACTIVE")

    aws_account.clients.idp.meta.events.register("before-call.cognito-idp.UpdateUserPool", protect)  # type: ignore[arg-type] # aiobotocore awaits it
    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.user_pools())[0]["DeletionProtection"] == "ACTIVE"


async def test_protection_of_an_adopted_pool_is_kept(aws_account: AwsAccount) -> None:
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
async def test_a_stricter_password_policy_is_kept(aws_account: AwsAccount, stricter: dict[str, Any]) -> None:
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
async def test_only_weaker_settings_of_a_password_policy_are_corrected(
    aws_account: AwsAccount, weaker: dict[str, Any]
) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, Policies={"PasswordPolicy": POLICY | {"RequireSymbols": True} | weaker})

    await provision_stage(aws_account.clients, spec_of())

    assert (await aws_account.user_pools())[0]["Policies"]["PasswordPolicy"] == POLICY | {"RequireSymbols": True}


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({"AutoVerifiedAttributes": ["email", "phone_number"]}, True),
        ({"AutoVerifiedAttributes": ["phone_number"]}, False),
        ({"AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]}}, True),
        ({"AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_phone_number"}]}}, False),
        ({"MfaConfiguration": "OPTIONAL"}, True),
        ({"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}, True),
    ],
)
async def test_other_settings_of_a_pool_are_kept_unless_weaker(
    aws_account: AwsAccount, changes: dict[str, Any], is_kept: bool
) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_pool(aws_account, **changes)

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == ([] if is_kept else ["UpdateUserPool"])


async def test_correcting_verified_attributes_removes_none(aws_account: AwsAccount) -> None:
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
async def test_shorter_token_validities_that_a_person_set_are_kept(
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
async def test_a_weaker_or_broken_client_is_corrected(aws_account: AwsAccount, longer: dict[str, Any]) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await update_client(aws_account, **longer)

    await provision_stage(aws_account.clients, spec_of())

    [pool] = await aws_account.user_pools()
    [client] = await aws_account.user_pool_clients(pool["Id"])
    assert (client["IdTokenValidity"], client["AccessTokenValidity"], client["RefreshTokenValidity"]) == (60, 60, 30)
    assert client["TokenValidityUnits"] == MINUTES
    assert (client["PreventUserExistenceErrors"], client["EnableTokenRevocation"]) == ("ENABLED", True)
    assert sorted(client["ExplicitAuthFlows"]) == [REFRESH, SRP]


async def test_a_queue_encrypted_with_a_persons_key_remains_so(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    for url in (outputs.queue_url, outputs.dead_letter_queue_url):  # as in SQS, one disables the other
        await aws_account.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/foreign", "SqsManagedSseEnabled": "false"}
        )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_a_queues_policy_and_redrive_allow_policy_are_kept(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    policy = '{"Version":"2012-10-17","Statement":[]}'
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url,
        Attributes={"Policy": policy, "RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'},
    )
    aws_account.calls.reset()

    await provision_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_a_longer_retention_that_a_person_set_is_kept(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.sqs.set_queue_attributes(
        QueueUrl=outputs.queue_url, Attributes={"MessageRetentionPeriod": str(10 * 86_400), "VisibilityTimeout": "7"}
    )

    await provision_stage(aws_account.clients, spec_of())

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    assert (attributes["MessageRetentionPeriod"], attributes["VisibilityTimeout"]) == ("864000", "30")


@pytest.mark.parametrize("seconds", [3_600, 1_209_600])
async def test_a_retention_in_the_spec_is_set_exactly(aws_account: AwsAccount, seconds: int) -> None:
    await provision_stage(aws_account.clients, spec_of())
    log = ReconcileLog(spec_of().identity)

    await provision_stage(aws_account.clients, spec_of(queue=QueueSettings(task_retention_seconds=seconds)), log)

    attributes = await aws_account.queue_attributes("notification-api-dev-tasks")
    assert attributes["MessageRetentionPeriod"] == str(seconds)
    assert log.changes == ["set MessageRetentionPeriod of queue notification-api-dev-tasks"]
