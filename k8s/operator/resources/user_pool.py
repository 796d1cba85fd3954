"""A stage's Cognito user pool: find, tag, remove.

A pool's name is not unique, and Cognito finds pools by paging only. Ours is one with our name and our tags.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.errors import NotFound, Protected
from k8s.operator.resources.reconcile_log import ReconcileLog

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient as Idp

GIVE = "userPool.id"


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
        """As messages name it."""
        return f"user pool {self.settings.get('Name')} ({self.pool_id})"

    @property
    def tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self.settings.get("UserPoolTags", {})
        return tags

    @property
    def protected(self) -> bool:
        """Whether Cognito refuses to delete it until a person turns the protection off."""
        return bool(self.settings.get("DeletionProtection") == "ACTIVE")

    def rank(self) -> tuple[bool, Any, str]:
        """Which of several to keep, first by first: one with users, then the oldest."""
        return (
            self.settings.get("EstimatedNumberOfUsers", 0) == 0,
            self.settings["CreationDate"],
            self.pool_id,
        )


async def read_user_pool(idp: "Idp", pool_id: str) -> UserPool:
    """Raises `NotFound`."""
    async with aws_call("cognito-idp:DescribeUserPool", pool_id):
        return UserPool((await idp.describe_user_pool(UserPoolId=pool_id))["UserPool"])


async def find_user_pools(idp: "Idp", name: str) -> list[UserPool]:
    """Every pool of this name, ours or not, the one to keep first."""
    found = []
    for pool_id in await _ids(idp, name):
        try:
            found.append(await read_user_pool(idp, pool_id))
        except NotFound:  # deleted since it was listed
            continue
    return sorted(found, key=UserPool.rank)


async def _ids(idp: "Idp", name: str) -> list[str]:
    ids: list[str] = []
    page: dict[str, str] = {}
    while True:
        async with aws_call("cognito-idp:ListUserPools", name):
            answer = await idp.list_user_pools(MaxResults=60, **page)
        ids += [pool["Id"] for pool in answer["UserPools"] if pool.get("Name") == name]
        if not answer.get("NextToken"):
            return ids
        page = {"NextToken": answer["NextToken"]}


async def tag_user_pool(idp: "Idp", arn: str, tags: Mapping[str, str]) -> None:
    async with aws_call("cognito-idp:TagResource", arn):
        await idp.tag_resource(ResourceArn=arn, Tags=dict(tags))


async def untag_user_pool(idp: "Idp", arn: str, key: str) -> None:
    async with aws_call("cognito-idp:UntagResource", arn):
        await idp.untag_resource(ResourceArn=arn, TagKeys=[key])


def refuse_protected(pool: UserPool) -> None:
    """Raises `Protected`."""
    if pool.protected:
        raise Protected(
            f"{pool.title} is protected against deletion (DeletionProtection ACTIVE): to delete it with its users, "
            "deactivate the protection in Cognito"
        )


async def remove_user_pool(idp: "Idp", pool: UserPool, log: ReconcileLog) -> None:
    """Delete a pool if it is ours; it may be gone already. Raises `Protected`."""
    try:
        now = await read_user_pool(idp, pool.pool_id)  # a person or another Stage may have changed it meanwhile
        refuse_protected(now)
        if not log.identity.owns(now.tags):
            log.notice(f"{pool.title} does not belong to this stage and stays")
            return
        async with aws_call("cognito-idp:DeleteUserPool", pool.pool_id):
            await idp.delete_user_pool(UserPoolId=pool.pool_id)
    except NotFound:
        return
    log.changed(f"deleted user pool {pool.pool_id}")
