"""The two tests: the doors answer as they should, and a task's news comes to its user."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from k8s.smoke.errors import SmokeError
from k8s.smoke.news import News, of_task, read, subscribe
from k8s.smoke.settings import SmokeSettings, UserPool
from k8s.smoke.sign_in import id_token

Say = Callable[[str], object]


async def reachable(http: aiohttp.ClientSession, settings: SmokeSettings, say: Say) -> None:
    """Both services answer, and let nobody in without a token."""
    for method, url in (("GET", f"{settings.token_url}/token"), ("POST", f"{settings.task_url}/task")):
        async with http.request(method, url) as answer:
            if answer.status != 401 or answer.content_type != "application/problem+json":
                raise SmokeError(f"{method} {url} without a token was answered {answer.status}, not 401")
        say(f"{method} {url}: answers, and asks for a token")


async def whole_job(http: aiohttp.ClientSession, settings: SmokeSettings, pool: UserPool, say: Say) -> None:
    """Sign in, subscribe, post a task, and hear of it."""
    headers = {"Authorization": f"Bearer {await id_token(pool)}"}
    say("signed in")
    access = await _json(http, "GET", f"{settings.token_url}/token", 200, headers=headers)
    subscription = await asyncio.to_thread(subscribe, access, settings.momento_endpoint, settings.timeout_seconds)
    news: News = asyncio.Queue()
    read(subscription, asyncio.get_running_loop(), news)
    say("subscribed")
    body = {"data": f"helm test {secrets.token_hex(4)}"}
    task = await _json(http, "POST", f"{settings.task_url}/task", 202, headers=headers, json=body)
    say(f"posted task {task['taskId']}")
    say(f"told: {await of_task(news, task['taskId'])}")


async def _json(http: aiohttp.ClientSession, method: str, url: str, status: int, **kwargs: Any) -> dict[str, Any]:
    async with http.request(method, url, **kwargs) as answer:
        body = await answer.read()
        if answer.status != status:
            raise SmokeError(f"{method} {url} was answered {answer.status}: {body.decode(errors='replace')}")
    parsed: dict[str, Any] = orjson.loads(body)
    return parsed
