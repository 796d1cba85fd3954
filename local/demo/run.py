"""The demonstration: one new user, a subscription, N tasks, and their news."""

import asyncio
import secrets
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from local.demo.api import Access, Api, api
from local.demo.config import ClientConfig
from local.demo.errors import DemoError
from local.demo.identity import fresh_credentials, identity
from local.demo.news import News, listen
from local.demo.summary import Tally, Told

POSTS_AT_ONCE = 10
SILENCE_SECONDS = 60.0
"""So long without any news, and the rest is not waited for."""
DOUBLES_SECONDS = 1.5
"""After the last news, time for doubles to come."""
SUBSCRIBED_WITHIN_SECONDS = 15.0
PLAIN = ("Finished task: ", "Failed task: ")
"""How news begin that are not JSON."""


async def demonstrate(page_url: str, count: int) -> None:
    """Returns when every task has finished and was told once; DemoError says what went wrong otherwise."""
    async with api(page_url) as calls:
        config = await calls.config()
        id_token = await new_user(calls, config)
        access = await calls.access(config, id_token)
        heard = await subscribed(access)
        say(f"subscribed to {access.topic} in cache {access.cache_name}")
        tally = Tally(count)
        with progress(count) as bar:
            async with asyncio.TaskGroup() as group:
                group.create_task(hear_all(tally, heard, bar))
                await post_all(calls, config, id_token, tally, bar)
    say(tally.summary())
    if problems := tally.problems():
        raise DemoError(f"Not every task finished and was told once: {'; '.join(problems)}.")


def progress(count: int) -> "tqdm[Any]":
    """A bar on a terminal, nothing elsewhere."""
    return tqdm(total=count, desc="news", unit="task", disable=None, leave=False)


async def new_user(calls: Api, config: ClientConfig) -> str:
    """Sign up, confirm with the mailed code and sign in; the id token."""
    user = fresh_credentials()
    async with identity(config) as cognito:
        await cognito.sign_up(user)
        code = await calls.mailed_code(user.email)
        await cognito.confirm(user, code)
        id_token = await cognito.sign_in(user)
    say(f"signed up as {user.email}, confirmed with the mailed code {code}, signed in with SRP")
    return id_token


async def subscribed(access: Access) -> asyncio.Queue[News]:
    """A queue that fills with what arrives from now on; nothing is lost while nobody reads it."""
    heard: asyncio.Queue[News] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SUBSCRIBED_WITHIN_SECONDS):
        await asyncio.to_thread(listen, access, lambda news: loop.call_soon_threadsafe(heard.put_nowait, news))
    return heard


async def post_all(calls: Api, config: ClientConfig, id_token: str, tally: Tally, bar: "tqdm[Any]") -> None:
    """Post the tasks in order, a few at once."""
    places = asyncio.Semaphore(POSTS_AT_ONCE)

    async def post(data: str) -> None:
        async with places:
            at = time.monotonic()
            task_id = await calls.post_task(config, id_token, data, key=secrets.token_hex(16))
        tell(tally.posted(task_id, data, at), bar)

    async with asyncio.TaskGroup() as group:
        for number in range(1, tally.expected + 1):
            group.create_task(post(f"demo task {number}"))


async def hear_all(tally: Tally, heard: asyncio.Queue[News], bar: "tqdm[Any]") -> None:
    """Until every task was told, and a moment longer for doubles; or until nothing comes any more."""
    while True:
        try:
            async with asyncio.timeout(DOUBLES_SECONDS if tally.complete else SILENCE_SECONDS):
                news = await heard.get()
        except TimeoutError:
            return
        if news.text.startswith(PLAIN):
            raise DemoError(
                "The news come as plain text, which does not say of which task: start `make up` without "
                "NOTIFICATION_FORMAT=text for the demonstration."
            )
        tell(tally.heard(news), bar)


def tell(told: Iterable[Told], bar: "tqdm[Any]") -> None:
    for one in told:
        bar.update()
        say(f"{one.seconds:6.2f} s  {one.status:<8}  {one.message}")


def say(text: str) -> None:
    """A line that does not tear the progress bar."""
    tqdm.write(text)
