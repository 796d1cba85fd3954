"""Rotation of the Momento API key under load, with token service and processor as processes."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.demo.sign_up import Application, application, signed_in_user
from tests.support.momento.key_rotation import rotate_momento_key
from tests.support.momento.subscriber import Subscriber, subscriber, topic_access
from tests.support.processes.local_stack import LocalStack

SERVICES = ("token", "processor")
TASKS = 24
NEWCOMERS = 2
DUPLICATES_SECONDS = 1.0
"""How long to wait for duplicates."""


@pytest.fixture
async def app(local_stack: LocalStack) -> AsyncIterator[Application]:
    async with application(local_stack.page_url) as app:
        yield app


async def swaps(stack: LocalStack, name: str) -> float:
    """How often a service has started to use a new key."""
    url = f"http://127.0.0.1:{stack.environment(name)['OPS_PORT']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found = re.search(r"^notification_api_momento_client_swaps_total (\S+)", await answer.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def receive(notifications: Subscriber, count: int) -> list[str]:
    return [str((await notifications.next())["taskId"]) for _ in range(count)]


async def test_a_new_key_takes_effect_without_a_restart_and_no_notification_is_lost(
    local_stack: LocalStack, app: Application
) -> None:
    user, *newcomers = await asyncio.gather(*(signed_in_user(app) for _ in range(1 + NEWCOMERS)))
    access = await topic_access(user.config, user.id_token)
    pids = {name: local_stack.pid(name) for name in SERVICES}
    before = {name: await swaps(local_stack, name) for name in SERVICES}
    said = {name: len(local_stack.output(name)) for name in SERVICES}

    async with subscriber(access) as notifications, user.api() as api:
        posting = asyncio.gather(*(api.submit("default", f"task {number}") for number in range(TASKS)))
        received = await receive(notifications, 2)  # the load has started
        await rotate_momento_key(local_stack, "v1")
        # New tokens from the service whose key is being revoked.
        vended = await asyncio.gather(*(topic_access(each.config, each.id_token) for each in newcomers))
        more = asyncio.gather(*(api.submit("default", f"more {number}") for number in range(TASKS)))
        ids = [task.id for task in [*await posting, *await more]]
        received += await receive(notifications, len(ids) - 2)
        assert sorted(received) == sorted(ids)
        assert await notifications.nothing_for(DUPLICATES_SECONDS)

    async with subscriber(vended[0]) as notifications, newcomers[0].api() as api:
        task = await api.submit("default", "with the new key")
        assert await receive(notifications, 1) == [task.id]
    assert {name: local_stack.pid(name) for name in SERVICES} == pids
    assert {name: await swaps(local_stack, name) for name in SERVICES} == {
        name: count + 1 for name, count in before.items()
    }
    for name in SERVICES:
        assert '"responded 503' not in local_stack.output(name)[said[name] :]
