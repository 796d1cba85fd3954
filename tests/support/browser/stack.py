"""The local stack, with the operations that browser tests need."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiobotocore.session import get_session
from momento import TopicClientAsync, TopicConfigurations
from momento.responses import TopicPublish
from playwright.async_api import StorageState

from local.demo.sign_up import Application, application, confirmed_user
from local.environment import momento_grpc_url
from notification_api.client import Credentials, NotificationApi, StageConfig
from services.common.momento.api_key import credential_provider
from tests.support.browser.tokens import signed_in_storage
from tests.support.momento.subscriber import topic_access
from tests.support.processes.local_stack import LocalStack

ADMIN = {"x-emulator-admin": "1"}
FAILURES_WITHIN_SECONDS = 60.0


class Publisher:
    """Publishes any text to any topic, as the processor does."""

    def __init__(self, topics: TopicClientAsync, cache_name: str) -> None:
        self._topics = topics
        self._cache_name = cache_name

    async def publish(self, topic: str, text: str) -> None:
        answer = await self._topics.publish(self._cache_name, topic, text)
        assert isinstance(answer, TopicPublish.Success), answer


class BrowserStack:
    def __init__(self, local: LocalStack) -> None:
        self.local = local

    @property
    def page_url(self) -> str:
        """The page by another name than that of the API, which `fault_proxies` leaves alone."""
        return f"http://127.0.0.1:{self.local.ports.page}"

    async def sign_up(self) -> Credentials:
        """A new user, confirmed."""
        async with self._application() as (app, config):
            return await confirmed_user(app, config)

    async def signed_in(self, user: Credentials) -> StorageState:
        """A browser's storage after signing in."""
        async with self._application() as (app, config):
            return await signed_in_storage(app.http, config, user, self.page_url)

    async def mailed_code(self, email: str) -> str:
        async with self._application() as (app, _):
            return await app.mailed_code(email)

    async def post(self, id_token: str, *texts: str) -> None:
        """Send a user's tasks without the application."""
        async with self._api(id_token) as api:
            for text in texts:
                await api.submit("default", text)

    async def notifications(self, id_token: str) -> list[dict[str, Any]]:
        """The user's notification history."""
        async with self._api(id_token) as api:
            return [dict(each.fields) for each in (await api.history()).notifications]

    async def momento_settings(self) -> dict[str, Any]:
        """All settings of the Momento emulator."""
        settings: dict[str, Any] = await self._admin("GET", "settings")
        return settings

    async def user_names(self) -> set[str]:
        """The names of all users who have signed up."""
        async with get_session().create_client("cognito-idp", **self.local.aws_client()) as cognito:
            users = (await cognito.list_users(UserPoolId=self.local.outputs.user_pool_id))["Users"]
        return {user["Username"] for user in users}

    async def topic(self, id_token: str) -> str:
        async with self._application() as (_, config):
            return (await topic_access(config, id_token)).topic

    async def streams_of(self, id_token: str) -> int:
        """Live streams of the user's topic."""
        stats = await self._admin("GET", "stats")
        by_topic: dict[str, int] = stats["liveStreamsByTopic"][self.local.outputs.cache_name]
        return by_topic.get(await self.topic(id_token), 0)

    async def end_streams(self, how: str) -> int:
        """Break (`abort`) or cleanly end (`end`) the emulator's live streams; returns how many there were."""
        return int((await self._admin("POST", f"streams/{how}"))["ended"])

    @asynccontextmanager
    async def emulating(self, **settings: Any) -> AsyncIterator[None]:
        """Change settings of the Momento emulator during the block."""
        before = await self._admin("GET", "settings")
        await self._admin("PATCH", "settings", settings)
        try:
            yield
        finally:
            await self._admin("PATCH", "settings", {name: before[name] for name in settings})

    async def wait_for_failures(self, count: int, *methods: str) -> None:
        """Wait until `count` calls of Momento's `methods` have failed by the current faults."""
        async with asyncio.timeout(FAILURES_WITHIN_SECONDS):
            while await self._hits(methods) < count:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.1)

    async def _hits(self, methods: Collection[str]) -> int:
        faults = (await self._admin("GET", "settings"))["faults"]
        return sum(int(fault["hits"]) for fault in faults if fault["method"] in methods)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Publisher]:
        outputs = self.local.outputs
        async with get_session().create_client("ssm", **self.local.aws_client()) as ssm:
            found = await ssm.get_parameter(Name=outputs.momento_api_key_param_name, WithDecryption=True)
        credentials = credential_provider(found["Parameter"]["Value"], momento_grpc_url(self.local.ports))
        async with TopicClientAsync(TopicConfigurations.Default.latest(), credentials) as topics:
            yield Publisher(topics, outputs.cache_name)

    @asynccontextmanager
    async def _api(self, id_token: str) -> AsyncIterator[NotificationApi]:
        async with self._application() as (_, config), NotificationApi(config.api_url, token=id_token) as api:
            yield api

    @asynccontextmanager
    async def _application(self) -> AsyncIterator[tuple[Application, StageConfig]]:
        async with application(self.local.page_url) as app:
            yield app, await app.config()

    async def _admin(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession(headers=ADMIN, raise_for_status=True) as session,
            session.request(method, f"{self.local.emulator_admin_url}/{path}", json=body) as answer,
        ):
            return await answer.json()
