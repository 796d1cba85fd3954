"""The demonstration: one new user, a subscription, N tasks and their notifications, and tasks of several types."""

import asyncio
import secrets
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from local.demo.errors import DemoError
from local.demo.sign_up import application, confirmed_user, signed_in
from local.demo.summary import Delivered, Summary
from local.demo.tour import Tour
from notification_api.client.http import StageClient
from notification_api.client.subscription import ReceivedNotification, subscribe

MAX_CONCURRENT_POSTS = 10
SILENCE_SECONDS = 60.0
"""After this time without a notification, the missing ones are no longer awaited."""
DUPLICATES_SECONDS = 1.5
"""How long to wait for duplicates after the last notification."""
TEXT_PREFIXES = ("Finished task: ", "Failed task: ")
"""How notifications begin with `NOTIFICATION_FORMAT=text`."""


async def run_demo(application_url: str, count: int) -> None:
    """Submit `count` tasks as a new user, and then a few of several types.

    :raises DemoError: unless every task finished and was notified exactly once, and the others ended as they should.
    """
    async with application(application_url) as app:
        config = await app.config()
        user = await confirmed_user(app, config)
        stage = await signed_in(app, config, user)
        info(f"signed up as {user.email}, confirmed with the mailed code, signed in with SRP")
        token = await stage.get_token()
        received = await subscribe(token)
        info(f"subscribed to {token.topic} in cache {token.cache_name}")
        summary = Summary(count)
        with progress_bar(count) as bar:
            async with asyncio.TaskGroup() as group:
                group.create_task(receive_all(summary, received, bar))
                await submit_all(stage, summary, bar)
        info(summary.text())
        if problems := summary.problems():
            raise DemoError(f"Not every task finished and was notified exactly once: {'; '.join(problems)}.")
        await Tour(stage, received, info).run()


def progress_bar(count: int) -> "tqdm[Any]":
    """Show progress on a terminal, and nothing elsewhere."""
    return tqdm(total=count, desc="notifications", unit="task", disable=None, leave=False)


async def submit_all(stage: StageClient, summary: Summary, bar: "tqdm[Any]") -> None:
    """Submit the tasks in order, a few at once."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_POSTS)

    async def submit(data: str) -> None:
        async with slots:
            posted_at = time.monotonic()
            task_id = await stage.submit_task(data, idempotency_key=secrets.token_hex(16))
        report(summary.submitted(task_id, posted_at), bar)

    async with asyncio.TaskGroup() as group:
        for number in range(1, summary.expected + 1):
            group.create_task(submit(f"demo task {number}"))


async def receive_all(summary: Summary, received: asyncio.Queue[ReceivedNotification], bar: "tqdm[Any]") -> None:
    """Receive until every task was notified, and a moment longer for duplicates; or until nothing more arrives."""
    while True:
        try:
            async with asyncio.timeout(DUPLICATES_SECONDS if summary.is_complete else SILENCE_SECONDS):
                notification = await received.get()
        except TimeoutError:
            return
        if notification.text.startswith(TEXT_PREFIXES):
            raise DemoError(
                "The notifications are plain text, which does not name the task: start `make up` without "
                "NOTIFICATION_FORMAT=text for the demonstration."
            )
        report(summary.received(notification), bar)


def report(delivered: Iterable[Delivered], bar: "tqdm[Any]") -> None:
    """Print a line for each notification."""
    for each in delivered:
        bar.update()
        info(f"{each.seconds:6.2f} s  {each.status:<8}  {each.message}")


def info(text: str) -> None:
    """Print a line without breaking the progress bar."""
    tqdm.write(text)
