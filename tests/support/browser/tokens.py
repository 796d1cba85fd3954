"""Signs in without the sign-in screens, with SRP.

Stores in the browser what Amplify would have stored; `test_sign_in.py` uses the screens instead.
"""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import UNSIGNED
from jwt.utils import base64url_encode
from playwright.async_api import BrowserContext, Page, StorageState
from pycognito.aws_srp import AWSSRP

from local.demo.config import ClientConfig
from local.demo.identity import Credentials

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient

PUT_ENTRIES = "(entries) => { for (const { name, value } of entries) localStorage.setItem(name, value); }"


async def signed_in_storage(config: ClientConfig, user: Credentials, page_url: str) -> StorageState:
    """A browser's storage after signing in."""
    async with get_session().create_client(
        "cognito-idp",
        region_name=config.region,
        endpoint_url=config.cognito_endpoint,
        config=AioConfig(signature_version=UNSIGNED),
    ) as cognito:
        tokens = await _tokens(cognito, config, user)
    name = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})["username"]
    prefix = f"CognitoIdentityServiceProvider.{config.user_pool_client_id}"
    entries = {
        f"{prefix}.LastAuthUser": name,
        f"{prefix}.{name}.idToken": tokens["IdToken"],
        f"{prefix}.{name}.accessToken": tokens["AccessToken"],
        f"{prefix}.{name}.refreshToken": tokens["RefreshToken"],
        f"{prefix}.{name}.clockDrift": "0",
    }
    stored = [{"name": key, "value": value} for key, value in entries.items()]
    return {"cookies": [], "origins": [{"origin": page_url, "localStorage": stored}]}  # type: ignore[typeddict-item]


async def put_storage(context: BrowserContext, storage: StorageState) -> None:
    """Replace the browser's local storage."""
    (origin,) = storage["origins"]
    page = await context.new_page()
    await page.goto(f"{origin['origin']}/icon.svg")
    await page.evaluate("localStorage.clear()")
    await page.evaluate(PUT_ENTRIES, origin["localStorage"])
    await page.close()


def expire_tokens(storage: StorageState) -> StorageState:
    """The same storage with an id token and access token that look expired to the page."""
    (origin,) = storage["origins"]
    aged = [{**each, "value": _expired(each["name"], each["value"])} for each in origin["localStorage"]]
    return {**storage, "origins": [{**origin, "localStorage": aged}]}  # type: ignore[typeddict-item]


async def expire_tokens_of(page: Page) -> None:
    """Expire the tokens of an open page."""
    (origin,) = expire_tokens(await page.context.storage_state())["origins"]
    await page.evaluate(PUT_ENTRIES, origin["localStorage"])


def _expired(name: str, value: str) -> str:
    if not name.endswith((".idToken", ".accessToken")):
        return value
    head, _, signature = value.split(".")
    claims = jwt.decode(value, options={"verify_signature": False}) | {"exp": int(time.time()) - 60}
    return f"{head}.{base64url_encode(json.dumps(claims).encode()).decode()}.{signature}"


async def _tokens(cognito: "CognitoIdentityProviderClient", config: ClientConfig, user: Credentials) -> Any:
    srp = AWSSRP(user.email, user.password, config.user_pool_id, config.user_pool_client_id, client=object())
    asked: dict[str, str] = await asyncio.to_thread(srp.get_auth_params)
    challenge = await cognito.initiate_auth(
        ClientId=config.user_pool_client_id, AuthFlow="USER_SRP_AUTH", AuthParameters=asked
    )
    proof = await asyncio.to_thread(srp.process_challenge, challenge["ChallengeParameters"], asked)
    answer = await cognito.respond_to_auth_challenge(
        ClientId=config.user_pool_client_id, ChallengeName="PASSWORD_VERIFIER", ChallengeResponses=proof
    )
    return answer["AuthenticationResult"]
