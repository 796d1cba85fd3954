"""Users of a stage on the cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from local.demo.sign_up import Application, application, confirmed_user, signed_in
from notification_api.client import Credentials, NotificationApi, StageConfig
from tests.support.cluster.stages import InstalledStages


@dataclass(frozen=True)
class User:
    """A user who has signed up, confirmed and signed in."""

    credentials: Credentials
    config: StageConfig
    id_token: str

    def api(self, ingest_port: int | None = None) -> NotificationApi:
        """A client, to be opened as a context manager.

        :param ingest_port: to which the ingest service is forwarded, where the stage has no common address.
        """
        ingest_url = None if ingest_port is None else f"http://localhost:{ingest_port}"
        return NotificationApi(self.config.api_url, token=self.id_token, ingest_url=ingest_url)


@asynccontextmanager
async def application_of(stages: InstalledStages) -> AsyncIterator[Application]:
    async with application(stages.page_url) as app:
        yield app


async def new_user(app: Application, config: StageConfig) -> User:
    """Sign up and sign in a user of the pool that `config` names."""
    credentials = await confirmed_user(app, config)
    return User(credentials, config, (await signed_in(app, config, credentials)).id_token)


async def status_of(url: str, id_token: str) -> int:
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"Authorization": f"Bearer {id_token}", "Connection": "close"}
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, headers=headers) as answer:
        return answer.status
