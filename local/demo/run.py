"""The demonstration: one new user, a subscription, N tasks and their notifications, and tasks of several types."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tqdm import tqdm

from local.demo.errors import DemoError
from local.demo.sign_up import application, confirmed_user, signed_in
from local.demo.summary import Delivered, Summary
from local.demo.tour import Tour
from notification_api.client import Notification, NotificationApi

MAX_CONCURRENT_POSTS = 10
SILENCE_SECONDS = 60.0
"""After this time without a notification, the missing ones are no longer awaited."""


async def run_demo(application_url: str, count: int) -> None:
    """Submit `count` tasks as a new user, and then a few of several types.

    :raises DemoError: unless every task finished and was notified, and the others ended as they should.
    """
    async with application(application_url) as app:
        config = await app.config()
        user = await confirmed_user(app, config)
        signed_in_as = await signed_in(app, config, user)
        info(f"signed up as {user.email}, confirmed with the mailed code, signed in with SRP")
    async with signed_in_as.api() as api:
        received = api.notifications()
        await api.connected()
        info("subscribed to the user's notifications")
        summary = Summary(count)
        with progress_bar(count) as bar:
            async with asyncio.TaskGroup() as group:
                group.create_task(receive_all(summary, received, bar))
                await submit_all(api, summary, bar)
        info(summary.text())
        if problems := summary.problems():
            raise DemoError(f"Not every task finished and was notified: {'; '.join(problems)}.")
        await Tour(api, received, info).run()


def progress_bar(count: int) -> "tqdm[Any]":
    """Show progress on a terminal, and nothing elsewhere."""
    return tqdm(total=count, desc="notifications", unit="task", disable=None, leave=False)


async def submit_all(api: NotificationApi, summary: Summary, bar: "tqdm[Any]") -> None:
    """Submit the tasks in order, a few at once."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_POSTS)

    async def submit(data: str) -> None:
        async with slots:
            posted_at = time.monotonic()
            task = await api.submit("default", data)
        report(summary.submitted(task.id, posted_at), bar)

    async with asyncio.TaskGroup() as group:
        for number in range(1, summary.expected + 1):
            group.create_task(submit(f"demo task {number}"))


async def receive_all(summary: Summary, received: AsyncIterator[Notification], bar: "tqdm[Any]") -> None:
    """Receive until every task was notified, or until nothing more arrives."""
    while not summary.is_complete:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                notification = await anext(received)
        except TimeoutError:
            return
        if notification.task_id is None:
            raise DemoError(
                "The notifications are plain text, which does not name the task: start `make up` without "
                "NOTIFICATION_FORMAT=text for the demonstration."
            )
        report(summary.received(notification, time.monotonic()), bar)


def report(delivered: Iterable[Delivered], bar: "tqdm[Any]") -> None:
    """Print a line for each notification."""
    for each in delivered:
        bar.update()
        info(f"{each.seconds:6.2f} s  {each.status:<8}  {each.message}")


def info(text: str) -> None:
    """Print a line without breaking the progress bar."""
    tqdm.write(text)
