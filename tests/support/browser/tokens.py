"""Signs in without the sign-in screens, with SRP.

Stores in the browser what Amplify would have stored; `test_sign_in.py` uses the screens instead.
"""

import json
import time

import aiohttp
import jwt
from jwt.utils import base64url_encode
from playwright.async_api import BrowserContext, Page, StorageState

from notification_api.client import Credentials, StageConfig, sign_in

PUT_ENTRIES = "(entries) => { for (const { name, value } of entries) localStorage.setItem(name, value); }"


async def signed_in_storage(
    http: aiohttp.ClientSession, config: StageConfig, user: Credentials, page_url: str
) -> StorageState:
    """A browser's storage after signing in."""
    tokens = await sign_in(http, config, user)
    name = jwt.decode(tokens.access_token, options={"verify_signature": False})["username"]
    prefix = f"CognitoIdentityServiceProvider.{config.user_pool_client_id}"
    entries = {
        f"{prefix}.LastAuthUser": name,
        f"{prefix}.{name}.idToken": tokens.id_token,
        f"{prefix}.{name}.accessToken": tokens.access_token,
        f"{prefix}.{name}.refreshToken": tokens.refresh_token,
        f"{prefix}.{name}.clockDrift": "0",
    }
    stored = [{"name": key, "value": value} for key, value in entries.items()]
    return {"cookies": [], "origins": [{"origin": page_url, "localStorage": stored}]}  # type: ignore[typeddict-item]


async def put_storage(context: BrowserContext, storage: StorageState) -> None:
    """Replace the browser's local storage, from the first page of the context, which shows an icon and stays open."""
    (origin,) = storage["origins"]
    page, url = context.pages[0], f"{origin['origin']}/icon.svg"
    if page.url != url:
        await page.goto(url)
    await page.evaluate("localStorage.clear()")
    await page.evaluate(PUT_ENTRIES, origin["localStorage"])


def expire_tokens(storage: StorageState) -> StorageState:
    """The same storage with an id token and access token that look expired to the application."""
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
