"""Somebody who uses the stack: signed in and subscribed, through the demonstration's own client."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from benchmarks.local_stack.stack import Stack
from local.demo.api import Api, api
from local.demo.config import ClientConfig
from local.demo.identity import fresh_credentials, identity
from local.demo.news import News
from local.demo.run import subscribed

NEWS_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class User:
    """Posts tasks and hears of them."""

    calls: Api
    config: ClientConfig
    id_token: str
    news: asyncio.Queue[News]

    async def post(self) -> tuple[str, float]:
        """The task's id, and when its POST began on the monotonic clock."""
        began = time.monotonic()
        return await self.calls.post_task(self.config, self.id_token, "benchmark"), began

    async def heard(self, task_ids: set[str]) -> dict[str, float]:
        """When the final news of each of these tasks came."""
        found: dict[str, float] = {}
        async with asyncio.timeout(NEWS_WITHIN_SECONDS):
            while task_ids - set(found):
                one = await self.news.get()
                fields = orjson.loads(one.text)
                if fields["status"] == "finished":
                    found.setdefault(fields["taskId"], one.at)
        return found


@asynccontextmanager
async def user_of(stack: Stack) -> AsyncIterator[User]:
    async with api(stack.page_url) as calls:
        config = await calls.config()
        person = fresh_credentials()
        async with identity(config) as cognito:
            await cognito.sign_up(person)
            await cognito.confirm(person, await calls.mailed_code(person.email))
            id_token = await cognito.sign_in(person)
        yield User(calls, config, id_token, await subscribed(await calls.access(config, id_token)))
