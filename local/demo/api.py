"""The HTTP calls of a client: the configuration, the mailed code, a token, tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from local.demo.config import ClientConfig
from local.demo.errors import DemoError, NotRunningError

CALL_WITHIN_SECONDS = 20.0
MAIL_WITHIN_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1
POST_ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Access:
    """The answer of GET /token: what it takes to subscribe to one's own topic."""

    token: str = field(repr=False)
    cache_name: str
    topic: str


class Api:
    """Make it with `api`."""

    def __init__(self, session: aiohttp.ClientSession, page_url: str) -> None:
        self._session = session
        self._page_url = page_url

    async def config(self) -> ClientConfig:
        """Raises NotRunningError when nobody answers."""
        try:
            return ClientConfig.from_json(await self._get(f"{self._page_url}/config.json"))
        except (aiohttp.ClientConnectionError, TimeoutError):
            raise NotRunningError(f"Nothing answers at {self._page_url}: start it with `make up`.") from None
        except (KeyError, TypeError, ValueError, aiohttp.ContentTypeError):
            raise NotRunningError(f"What answers at {self._page_url} is something else.") from None

    async def mailed_code(self, email: str) -> str:
        """The newest code that was mailed to this address, as a person finds it at /mail."""
        async with asyncio.timeout(MAIL_WITHIN_SECONDS):
            while True:
                for mail in (await self._get(f"{self._page_url}/mail.json"))["mails"]:
                    if mail["to"] == email and mail["code"]:
                        return str(mail["code"])
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def access(self, config: ClientConfig, id_token: str) -> Access:
        answer = await self._get(f"{config.token_url}/token", id_token)
        return Access(answer["token"], answer["cacheName"], answer["topic"])

    async def post_task(self, config: ClientConfig, id_token: str, data: str, key: str | None = None) -> str:
        """Post until it is accepted, as often as Retry-After asks for; with a `key` that is one task for certain."""
        headers = bearer(id_token) | ({"Idempotency-Key": key} if key else {})
        for attempt in range(1, POST_ATTEMPTS + 1):
            async with self._session.post(f"{config.task_url}/task", json={"data": data}, headers=headers) as answer:
                if answer.status == 202:
                    return str((await answer.json())["taskId"])
                if answer.status not in {429, 503} or attempt == POST_ATTEMPTS:
                    raise DemoError(f"POST /task was answered {answer.status}: {await answer.text()}")
                pause = float(answer.headers.get("Retry-After", "1"))
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        raise AssertionError("the last attempt returns or raises")

    async def _get(self, url: str, id_token: str | None = None) -> Any:
        async with self._session.get(url, headers=bearer(id_token) if id_token else {}) as answer:
            if answer.status != 200:
                raise DemoError(f"GET {url} was answered {answer.status}: {await answer.text()}")
            return await answer.json()


def bearer(id_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {id_token}"}


@asynccontextmanager
async def api(page_url: str) -> AsyncIterator[Api]:
    timeout = aiohttp.ClientTimeout(total=CALL_WITHIN_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Api(session, page_url)
