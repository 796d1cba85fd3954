"""Id tokens that an emulated Cognito issues, verified with the key set that it publishes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiobotocore.session import get_session

from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken, RefusalReason
from services.common.auth.key_set import KeySet
from tests.support.processes.ministack import REGION, MiniStack, new_account_id

EMAIL = "someone@example.com"
PASSWORD = "Correct-horse-7-battery"


@dataclass(frozen=True)
class SignedIn:
    """A user of a pool, with both tokens."""

    issuer: str
    jwks_url: str
    client_id: str
    sub: str
    id_token: str
    access_token: str


@pytest.fixture
async def user(aws: MiniStack) -> SignedIn:
    return await sign_in(aws)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def sign_in(aws: MiniStack) -> SignedIn:
    settings = aws.client_settings(new_account_id())
    async with get_session().create_client("cognito-idp", **settings) as cognito:
        made = await cognito.create_user_pool(PoolName="test", UsernameAttributes=["email"])
        pool_id = made["UserPool"]["Id"]
        client = await cognito.create_user_pool_client(
            UserPoolId=pool_id, ClientName="test", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        )
        client_id = client["UserPoolClient"]["ClientId"]
        new = await cognito.admin_create_user(
            UserPoolId=pool_id, Username=EMAIL, UserAttributes=[{"Name": "email", "Value": EMAIL}]
        )
        await cognito.admin_set_user_password(UserPoolId=pool_id, Username=EMAIL, Password=PASSWORD, Permanent=True)
        answer = await cognito.admin_initiate_auth(
            UserPoolId=pool_id,
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": EMAIL, "PASSWORD": PASSWORD},
        )
    attributes = {attribute["Name"]: attribute.get("Value", "") for attribute in new["User"]["Attributes"]}
    return SignedIn(
        issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{pool_id}",
        jwks_url=f"{aws.endpoint_url}/{pool_id}/.well-known/jwks.json",
        client_id=client_id,
        sub=attributes["sub"],
        id_token=answer["AuthenticationResult"]["IdToken"],
        access_token=answer["AuthenticationResult"]["AccessToken"],
    )


def verifier(user: SignedIn, session: aiohttp.ClientSession) -> IdTokenVerifier:
    return IdTokenVerifier(user.issuer, user.client_id, KeySet(user.jwks_url, session))


async def test_an_id_token_identifies_its_user(user: SignedIn, session: aiohttp.ClientSession) -> None:
    assert (await verifier(user, session).verify(user.id_token)).sub == user.sub


async def test_an_access_token_is_refused_with_its_own_reason(user: SignedIn, session: aiohttp.ClientSession) -> None:
    with pytest.raises(InvalidIdToken) as refused:
        await verifier(user, session).verify(user.access_token)
    assert refused.value.reason == RefusalReason.TOKEN_USE


async def test_a_token_of_another_user_pool_is_refused(
    aws: MiniStack, user: SignedIn, session: aiohttp.ClientSession
) -> None:
    stranger = await sign_in(aws)
    with pytest.raises(InvalidIdToken) as refused:
        await verifier(user, session).verify(stranger.id_token)
    assert refused.value.reason == RefusalReason.KEY
