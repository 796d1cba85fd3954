"""A stage's Cognito user pool: its settings, and how to find, create, adopt, correct and delete it.

Names of pools are not unique, and Cognito lists pools only page by page. The stage's pool is the one that has its name
and its ownership tags.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.drift import complete_cognito_update
from k8s.operator.resources.errors import NotFoundError, ProtectedError, ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from notification_api import PermanentError

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient as Idp

USER_POOL_SETTING = "userPool.id"
_SAFE_RECOVERY = {"verified_email", "admin_only"}


@dataclass(frozen=True)
class UserPool:
    """A user pool as Cognito reports it."""

    settings: Mapping[str, Any]

    @property
    def pool_id(self) -> str:
        return str(self.settings["Id"])

    @property
    def arn(self) -> str:
        return str(self.settings["Arn"])

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"user pool {self.settings.get('Name')} ({self.pool_id})"

    @property
    def tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self.settings.get("UserPoolTags", {})
        return tags

    @property
    def is_protected(self) -> bool:
        """Whether Cognito refuses to delete it until a person deactivates the protection."""
        return bool(self.settings.get("DeletionProtection") == "ACTIVE")

    def preference(self) -> tuple[bool, Any, str]:
        """Sort key; of several pools the first is used: one with users before one without, then the oldest."""
        return (
            self.settings.get("EstimatedNumberOfUsers", 0) == 0,
            self.settings["CreationDate"],
            self.pool_id,
        )


@dataclass(frozen=True)
class UserPoolSettings:
    """The settings of a stage's user pool. A person may set stricter ones (docs/reference/operator.md); those stay.

    :param deletion_protection: False does not ask for protection, and never switches off one that is on.
    """

    deletion_protection: bool = False
    password_min_characters: int = 12

    def at_creation(self) -> dict[str, object]:
        """All settings, with those that cannot be changed later: sign-in by e-mail, case-insensitive."""
        return {
            "Policies": {"PasswordPolicy": self._password_policy()},
            "AutoVerifiedAttributes": ["email"],
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
            "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
            "DeletionProtection": "ACTIVE" if self.deletion_protection else "INACTIVE",
            "UsernameAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": False},
        }

    def drift(self, actual: Mapping[str, Any]) -> dict[str, object]:
        """The settings to write: those where the actual ones are weaker, or break sign-in."""
        drift: dict[str, object] = {}
        policy = actual.get("Policies", {}).get("PasswordPolicy", {})
        weaker = {key: value for key, value in self._password_policy().items() if not _as_strict(value, policy, key)}
        if weaker:
            drift["Policies"] = {"PasswordPolicy": weaker}
        verified = actual.get("AutoVerifiedAttributes", [])
        if "email" not in verified:
            drift["AutoVerifiedAttributes"] = [*verified, "email"]
        mechanisms = actual.get("AccountRecoverySetting", {}).get("RecoveryMechanisms", [])
        if not mechanisms or not {each["Name"] for each in mechanisms} <= _SAFE_RECOVERY:
            drift["AccountRecoverySetting"] = self.at_creation()["AccountRecoverySetting"]
        updates = actual.get("UserAttributeUpdateSettings", {}).get("AttributesRequireVerificationBeforeUpdate", [])
        if "email" not in updates:
            drift["UserAttributeUpdateSettings"] = {"AttributesRequireVerificationBeforeUpdate": [*updates, "email"]}
        if self.deletion_protection and actual.get("DeletionProtection") != "ACTIVE":
            drift["DeletionProtection"] = "ACTIVE"
        return drift

    def _password_policy(self) -> dict[str, int]:
        return {
            "MinimumLength": self.password_min_characters,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": False,  # length matters more than classes of characters, NIST SP 800-63B 5.1.1.2
            "TemporaryPasswordValidityDays": 7,
        }


def _as_strict(wanted: int, policy: Mapping[str, Any], key: str) -> bool:
    actual = policy.get(key, 0)
    if key == "TemporaryPasswordValidityDays":
        return bool(0 < actual <= wanted)
    return bool(actual >= wanted)  # a length, or whether a class of characters is required


async def read_user_pool(idp: "Idp", pool_id: str) -> UserPool:
    """:raises NotFoundError:"""
    async with aws_call("cognito-idp:DescribeUserPool", pool_id):
        return UserPool((await idp.describe_user_pool(UserPoolId=pool_id))["UserPool"])


async def find_user_pools(idp: "Idp", name: str) -> list[UserPool]:
    """Every pool with this name, of any owner, the preferred one first."""
    found = []
    for pool_id in await _list_ids(idp, name):
        try:
            found.append(await read_user_pool(idp, pool_id))
        except NotFoundError:  # deleted after it was listed
            continue
    return sorted(found, key=UserPool.preference)


async def _list_ids(idp: "Idp", name: str) -> list[str]:
    ids: list[str] = []
    page: dict[str, str] = {}
    while True:
        async with aws_call("cognito-idp:ListUserPools", name):
            answer = await idp.list_user_pools(MaxResults=60, **page)
        ids += [pool["Id"] for pool in answer["UserPools"] if pool.get("Name") == name]
        if not answer.get("NextToken"):
            return ids
        page = {"NextToken": answer["NextToken"]}


async def ensure_user_pool(
    idp: "Idp", found: list[UserPool], settings: UserPoolSettings, log: ReconcileLog
) -> UserPool:
    """The stage's pool, out of those with its name: created if there is none, adopted if the spec says so.

    :raises NotOwnedError:
    """
    name = log.identity.names.user_pool
    owned = [pool for pool in found if log.identity.owns(pool.tags)]
    for other in owned[1:]:
        log.notice(f"user pool {other.pool_id} is a second {name} of this stage, unused; it is deleted with the stage")
    if owned:
        pool = owned[0]
    elif found:
        pool = await _adopt(idp, name, found, log)
    else:
        return await _create(idp, name, settings, log)
    await _correct_drift(idp, pool, settings, log)
    return pool


async def _create(idp: "Idp", name: str, settings: UserPoolSettings, log: ReconcileLog) -> UserPool:
    arguments: dict[str, Any] = settings.at_creation()
    async with aws_call("cognito-idp:CreateUserPool", name):
        answer = await idp.create_user_pool(PoolName=name, UserPoolTags=log.identity.tags(), **arguments)
    pool = UserPool(answer["UserPool"])
    log.changed(f"created user pool {name} ({pool.pool_id})")
    return pool


async def _adopt(idp: "Idp", name: str, found: list[UserPool], log: ReconcileLog) -> UserPool:
    for other in found:
        log.must_tag(other.title, other.tags, USER_POOL_SETTING)
    pool = found[0]
    if len(found) > 1:
        ids = ", ".join(other.pool_id for other in found)
        raise PermanentError(
            f"several user pools are called {name} ({ids}): name the one to use in {USER_POOL_SETTING}"
        )
    if pool.settings.get("UsernameAttributes") != ["email"]:
        raise PermanentError(
            f"user pool {pool.pool_id} cannot be adopted: users must sign in by e-mail, which is set at creation"
        )
    await tag_user_pool(idp, pool.arn, log.identity.tags())
    adopted = await read_user_pool(idp, pool.pool_id)
    if log.must_tag(adopted.title, adopted.tags, USER_POOL_SETTING):  # raises if another Stage adopted it meanwhile
        raise ResourceUnavailable(f"the tags of {adopted.title} are not visible yet")
    log.changed(f"adopted {adopted.title}")
    return adopted


async def _correct_drift(idp: "Idp", pool: UserPool, settings: UserPoolSettings, log: ReconcileLog) -> None:
    drift = settings.drift(pool.settings)
    if not drift:
        return
    arguments: dict[str, Any] = complete_cognito_update(idp, "UpdateUserPool", pool.settings, drift)
    async with aws_call("cognito-idp:UpdateUserPool", pool.pool_id):
        await idp.update_user_pool(UserPoolId=pool.pool_id, **arguments)
    log.changed(f"set {', '.join(sorted(drift))} of user pool {pool.pool_id}")


async def tag_user_pool(idp: "Idp", arn: str, tags: Mapping[str, str]) -> None:
    async with aws_call("cognito-idp:TagResource", arn):
        await idp.tag_resource(ResourceArn=arn, Tags=dict(tags))


async def untag_user_pool(idp: "Idp", arn: str, key: str) -> None:
    async with aws_call("cognito-idp:UntagResource", arn):
        await idp.untag_resource(ResourceArn=arn, TagKeys=[key])


def check_pool_unprotected(pool: UserPool) -> None:
    """:raises ProtectedError:"""
    if pool.is_protected:
        raise ProtectedError(
            f"{pool.title} is protected against deletion (DeletionProtection ACTIVE): to delete it with its users, "
            "deactivate the protection in Cognito"
        )


async def delete_user_pool(idp: "Idp", pool: UserPool, log: ReconcileLog) -> None:
    """Delete a pool if the stage owns it. A pool that no longer exists is no error.

    :raises ProtectedError:
    """
    try:
        current = await read_user_pool(idp, pool.pool_id)  # a person or another Stage may have changed it meanwhile
        check_pool_unprotected(current)
        if not log.identity.owns(current.tags):
            log.notice(f"{pool.title} does not belong to this stage and stays")
            return
        async with aws_call("cognito-idp:DeleteUserPool", pool.pool_id):
            await idp.delete_user_pool(UserPoolId=pool.pool_id)
    except NotFoundError:
        return
    log.changed(f"deleted user pool {pool.pool_id}")
