"""Rotation of the Momento API key under load, with token service and processor as processes."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.demo.sign_up import Application, application, signed_in_user
from tests.support.momento.key_rotation import rotate_momento_key
from tests.support.momento.subscriber import Subscriber, subscriber
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
    return [str((await asyncio.to_thread(notifications.next))["taskId"]) for _ in range(count)]


async def test_a_new_key_takes_effect_without_a_restart_and_no_notification_is_lost(
    local_stack: LocalStack, app: Application
) -> None:
    user, *newcomers = await asyncio.gather(*(signed_in_user(app) for _ in range(1 + NEWCOMERS)))
    token = await user.get_token()
    pids = {name: local_stack.pid(name) for name in SERVICES}
    before = {name: await swaps(local_stack, name) for name in SERVICES}
    said = {name: len(local_stack.output(name)) for name in SERVICES}

    with subscriber(token) as notifications:
        posting = asyncio.gather(*(user.submit_task(f"task {number}") for number in range(TASKS)))
        received = await receive(notifications, 2)  # the load has started
        await rotate_momento_key(local_stack, "v1")
        # New tokens from the service whose key is being revoked.
        tokens = await asyncio.gather(*(newcomer.get_token() for newcomer in newcomers))
        more = asyncio.gather(*(user.submit_task(f"more {number}") for number in range(TASKS)))
        ids = [*await posting, *await more]
        received += await receive(notifications, len(ids) - 2)
        assert sorted(received) == sorted(ids)
        assert await asyncio.to_thread(notifications.nothing_for, DUPLICATES_SECONDS)

    with subscriber(tokens[0]) as notifications:
        task_id = await newcomers[0].submit_task("with the new key")
        assert await receive(notifications, 1) == [task_id]
    assert {name: local_stack.pid(name) for name in SERVICES} == pids
    assert {name: await swaps(local_stack, name) for name in SERVICES} == {
        name: count + 1 for name, count in before.items()
    }
    for name in SERVICES:
        assert '"responded 503' not in local_stack.output(name)[said[name] :]
