"""Sign up a new user with the help of what only a local stack has: its mails can be read."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from local.errors import LocalError
from notification_api.client import (
    Credentials,
    NotificationApi,
    StageConfig,
    confirm_sign_up,
    sign_in,
    sign_up,
)

CALL_TIMEOUT_SECONDS = 20.0
MAIL_TIMEOUT_SECONDS = 10.0
MAIL_POLL_SECONDS = 0.1


class NotRunningError(LocalError):
    """No local stack answers at this address."""


class Application:
    """The application's server of a local stack. Create it with `application`."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self._url = url

    async def config(self) -> StageConfig:
        """Read the stage's addresses.

        :raises NotRunningError: when no local stack answers.
        """
        try:
            return StageConfig.from_json(await self._get_json("config.json"), self._url)
        except (aiohttp.ClientConnectionError, TimeoutError):
            raise NotRunningError(f"Nothing answers at {self._url}: start it with `make up`.") from None
        except (KeyError, TypeError, ValueError, aiohttp.ClientResponseError):
            raise NotRunningError(f"Another program answers at {self._url}.") from None

    async def mailed_code(self, email: str) -> str:
        """Wait for the newest code that was mailed to this address."""
        async with asyncio.timeout(MAIL_TIMEOUT_SECONDS):
            while True:
                for mail in (await self._get_json("mail.json"))["mails"]:
                    if mail["to"] == email and mail["code"]:
                        return str(mail["code"])
                await asyncio.sleep(MAIL_POLL_SECONDS)

    async def _get_json(self, path: str) -> Any:
        async with self.http.get(f"{self._url}/{path}", raise_for_status=True) as answer:
            return await answer.json()


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A user of a stage, and the id token of one sign-in."""

    config: StageConfig
    id_token: str = field(repr=False)

    def api(self) -> NotificationApi:
        """Return a client, to be opened as a context manager."""
        return NotificationApi(self.config.api_url, token=self.id_token)


@asynccontextmanager
async def application(url: str) -> AsyncIterator[Application]:
    """Connect to the application's server at `url`."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Application(http, url)


def random_credentials() -> Credentials:
    """Generate an address in a reserved domain (RFC 2606) and a password that meets Cognito's policy."""
    return Credentials(email=f"demo-{secrets.token_hex(6)}@example.com", password=f"{secrets.token_urlsafe(18)}aA1!")


async def confirmed_user(app: Application, config: StageConfig) -> Credentials:
    """Sign up a new user and confirm the address with the mailed code."""
    user = random_credentials()
    await sign_up(app.http, config, user)
    await confirm_sign_up(app.http, config, user, await app.mailed_code(user.email))
    return user


async def signed_in(app: Application, config: StageConfig, user: Credentials) -> SignedInUser:
    """Sign in a confirmed user."""
    return SignedInUser(config, (await sign_in(app.http, config, user)).id_token)


async def signed_in_user(app: Application) -> SignedInUser:
    """Sign up, confirm and sign in a new user of the application's stage."""
    config = await app.config()
    return await signed_in(app, config, await confirmed_user(app, config))
