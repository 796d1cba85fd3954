"""Users of a stage on the cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from local.demo.sign_up import Application, application, confirmed_user, signed_in
from notification_api.client.config import StageConfig
from notification_api.client.http import StageClient
from notification_api.client.sign_in import Credentials
from tests.support.cluster.stages import InstalledStages


@dataclass(frozen=True)
class User:
    """A user who has signed up, confirmed and signed in."""

    credentials: Credentials
    stage: StageClient

    @property
    def config(self) -> StageConfig:
        return self.stage.config

    @property
    def id_token(self) -> str:
        return self.stage.id_token


@asynccontextmanager
async def application_of(stages: InstalledStages) -> AsyncIterator[Application]:
    async with application(stages.page_url) as app:
        yield app


async def new_user(app: Application, config: StageConfig) -> User:
    """Sign up and sign in a user of the pool that `config` names."""
    credentials = await confirmed_user(app, config)
    return User(credentials, await signed_in(app, config, credentials))


async def status_of(url: str, id_token: str) -> int:
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"Authorization": f"Bearer {id_token}", "Connection": "close"}
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, headers=headers) as answer:
        return answer.status
