"""The two checks: the services refuse calls without a token, and a user is notified of a task and can follow it."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from k8s.smoke.settings import SmokeSettings
from notification_api.client.http import StageClient
from notification_api.client.sign_in import Credentials, sign_in
from notification_api.client.subscription import ReceivedNotification, subscribe

Info = Callable[[str], object]

NOT_FINAL = {"queued", "running"}
POLL_SECONDS = 1.0


class SmokeError(Exception):
    """The stage does not do what it should; the message says what was seen."""


async def check_reachability(http: aiohttp.ClientSession, settings: SmokeSettings, info: Info) -> None:
    """Both services answer, and reject calls without a token."""
    for method, url in (
        ("GET", f"{settings.stage.token_url}/token"),
        ("GET", f"{settings.stage.token_url}/task/helm-test"),
        ("POST", f"{settings.stage.task_url}/task"),
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
    stage = StageClient(http, settings.stage, tokens.id_token)
    received = await subscribe(await stage.get_token(), endpoint=settings.momento_endpoint)
    info("subscribed")
    task_id = await stage.submit_task(f"helm test {secrets.token_hex(4)}", task_type=settings.task_type)
    info(f"submitted task {task_id}")
    notification = await final_notification(received, task_id)
    info(f"notified: {notification['status']}: {notification['message']}")
    if settings.has_history:
        await check_status(stage, task_id, notification["status"])
        info(f"followed: GET /task/{task_id} answers {notification['status']}")


async def check_status(stage: StageClient, task_id: str, expected: str) -> None:
    """Read the status until it is final. Mostly it is at once, since notifications are stored before publishing."""
    while True:
        status = (await stage.get_task(task_id))["status"]
        if status == expected:
            return
        if status not in NOT_FINAL:
            raise SmokeError(f"GET /task/{task_id} answers {status} after the notification {expected}")
        await asyncio.sleep(POLL_SECONDS)


async def final_notification(received: asyncio.Queue[ReceivedNotification], task_id: str) -> dict[str, Any]:
    """Wait for the final notification of this task; those of other tasks are ignored."""
    while True:
        fields: dict[str, Any] = orjson.loads((await received.get()).text)
        if fields.get("taskId") == task_id and fields.get("status") != "progress":
            return fields
