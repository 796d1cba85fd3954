"""The two checks: the services refuse calls without a token, and a user is notified of a task and can follow it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import aiohttp

from k8s.smoke.settings import SmokeSettings
from notification_api.client import Credentials, Notification, NotificationApi, sign_in

Info = Callable[[str], object]

NOT_FINAL = {"queued", "running"}
POLL_SECONDS = 1.0


class SmokeError(Exception):
    """The stage does not do what it should; the message says what was seen."""


async def check_reachability(http: aiohttp.ClientSession, settings: SmokeSettings, info: Info) -> None:
    """Both services answer, and reject calls without a token."""
    for method, url in (
        ("GET", f"{settings.stage.api_url}/token"),
        ("GET", f"{settings.stage.api_url}/task/helm-test"),
        ("POST", f"{settings.ingest_url}/task"),
    ):
        async with http.request(method, url) as answer:
            if answer.status != 401 or answer.content_type != "application/problem+json":
                raise SmokeError(f"{method} {url} without a token was answered {answer.status}, not 401")
        info(f"{method} {url}: answers, and requires a token")


async def check_notification(
    http: aiohttp.ClientSession, settings: SmokeSettings, user: Credentials, info: Info
) -> None:
    """Sign in, subscribe, submit a task, wait for its notification, and read its status."""
    tokens = await sign_in(http, settings.stage, user)
    info("signed in")
    async with NotificationApi(
        settings.stage.api_url,
        token=tokens.id_token,
        ingest_url=settings.ingest_url,
        momento_endpoint=settings.momento_endpoint,
    ) as api:
        received = api.notifications()
        await api.connected(settings.timeout_seconds)
        info("subscribed")
        task = await api.submit(settings.task_type, f"helm test {secrets.token_hex(4)}")
        info(f"submitted task {task.id}")
        notification = await final_notification(received, task.id)
        info(f"notified: {notification.status}: {notification.message}")
        if settings.has_history:
            await check_status(api, task.id, str(notification.status))
            info(f"followed: GET /task/{task.id} answers {notification.status}")


async def check_status(api: NotificationApi, task_id: str, expected: str) -> None:
    """Read the status until it is final. Mostly it is at once, since notifications are stored before publishing."""
    while True:
        status = (await api.get_task(task_id)).status
        if status == expected:
            return
        if status not in NOT_FINAL:
            raise SmokeError(f"GET /task/{task_id} answers {status} after the notification {expected}")
        await asyncio.sleep(POLL_SECONDS)


async def final_notification(received: AsyncIterator[Notification], task_id: str) -> Notification:
    """Wait for the final notification of this task; those of other tasks are ignored."""
    while True:
        notification = await anext(received)
        if notification.task_id == task_id and notification.is_final:
            return notification
