"""A stage's Cognito user pool: make, adopt, mend."""

from typing import TYPE_CHECKING, Any

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.cognito import whole_update
from k8s.operator.resources.errors import Permanent, ResourceUnavailable
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.user_pool import GIVE, UserPool, read_user_pool, tag_user_pool
from k8s.operator.resources.user_pool_settings import UserPoolSettings

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient as Idp


async def claim_user_pool(idp: "Idp", found: list[UserPool], settings: UserPoolSettings, one_pass: Pass) -> UserPool:
    """Our pool: made where none was found, adopted if asked for, its settings mended. Raises `NotOurs`."""
    name = one_pass.identity.names.user_pool
    ours = [pool for pool in found if one_pass.identity.owns(pool.tags)]
    for other in ours[1:]:
        one_pass.notice(f"user pool {other.pool_id} is a second {name} of this stage, unused; it goes with the stage")
    if ours:
        pool = ours[0]
    elif found:
        pool = await _adopt(idp, name, found, one_pass)
    else:
        return await _create(idp, name, settings, one_pass)
    await _mend(idp, pool, settings, one_pass)
    return pool


async def _create(idp: "Idp", name: str, settings: UserPoolSettings, one_pass: Pass) -> UserPool:
    arguments: dict[str, Any] = settings.at_creation()
    async with aws_call("cognito-idp:CreateUserPool", name):
        answer = await idp.create_user_pool(PoolName=name, UserPoolTags=one_pass.identity.tags(), **arguments)
    pool = UserPool(answer["UserPool"])
    one_pass.changed(f"created user pool {name} ({pool.pool_id})")
    return pool


async def _adopt(idp: "Idp", name: str, found: list[UserPool], one_pass: Pass) -> UserPool:
    for other in found:
        one_pass.must_tag(other.title, other.tags, GIVE)
    pool = found[0]
    if len(found) > 1:
        ids = ", ".join(other.pool_id for other in found)
        raise Permanent(f"several user pools are called {name} ({ids}): which to adopt is not clear, give one ({GIVE})")
    if pool.settings.get("UsernameAttributes") != ["email"]:
        raise Permanent(f"user pool {pool.pool_id} cannot be adopted: users must sign in by e-mail, set at creation")
    await tag_user_pool(idp, pool.arn, one_pass.identity.tags())
    adopted = await read_user_pool(idp, pool.pool_id)
    if one_pass.must_tag(adopted.title, adopted.tags, GIVE):  # raises where another Stage adopted it meanwhile
        raise ResourceUnavailable(f"the tags of {adopted.title} are not visible yet")
    one_pass.changed(f"adopted {adopted.title}")
    return adopted


async def _mend(idp: "Idp", pool: UserPool, settings: UserPoolSettings, one_pass: Pass) -> None:
    drift = settings.drift(pool.settings)
    if not drift:
        return
    arguments: dict[str, Any] = whole_update(idp, "UpdateUserPool", pool.settings, drift)
    async with aws_call("cognito-idp:UpdateUserPool", pool.pool_id):
        await idp.update_user_pool(UserPoolId=pool.pool_id, **arguments)
    one_pass.changed(f"set {', '.join(sorted(drift))} of user pool {pool.pool_id}")
