"""From sign-up to notification through the real services, each a process, with the unmodified SDKs."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp
import pytest

from local.demo.sign_up import Application, SignedInUser, application, random_credentials, signed_in_user
from notification_api.client import StageConfig, confirm_sign_up, sign_in, sign_up
from notification_api.client.errors import CognitoError, SubscriptionRefusedError
from notification_api.client.subscription.disposable_token import TopicAccess
from tests.support.momento.key_rotation import rotate_momento_key
from tests.support.momento.subscriber import Subscriber, subscriber, topic_access
from tests.support.processes.local_stack import LocalStack
from tests.support.processor.stage import metrics_at

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]  # the first test also starts the stack

DUPLICATES_SECONDS = 1.0
"""How long to wait for duplicates."""


@dataclass(frozen=True)
class User:
    """A user who has signed in and fetched a token."""

    signed_in: SignedInUser
    access: TopicAccess

    @property
    def config(self) -> StageConfig:
        return self.signed_in.config

    @property
    def id_token(self) -> str:
        return self.signed_in.id_token

    async def post(self, *data: str) -> list[str]:
        """Submit tasks together, and return their ids."""
        async with self.signed_in.api() as api:
            return [task.id for task in await asyncio.gather(*(api.submit("default", each) for each in data))]

    def subscribed(self) -> AbstractAsyncContextManager[Subscriber]:
        return subscriber(self.access)


@pytest.fixture
async def app(local_stack: LocalStack) -> AsyncIterator[Application]:
    async with application(local_stack.page_url) as app:
        yield app


async def signed_in(app: Application) -> User:
    user = await signed_in_user(app)
    return User(user, await topic_access(user.config, user.id_token))


async def receive(notifications: Subscriber, count: int, seconds: float = 30.0) -> list[dict[str, object]]:
    return [await notifications.next(seconds) for _ in range(count)]


async def test_the_notification_of_a_task_arrives_once(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    async with user.subscribed() as notifications:
        before = int(time.time() * 1000)
        (task_id,) = await user.post("größer 👍🏽")
        (received,) = await receive(notifications, 1)
        assert received["taskId"] == task_id
        assert received["status"] == "finished"
        assert received["message"] == "Finished task: größer 👍🏽"
        assert before <= int(str(received["time"])) <= time.time() * 1000
        assert await notifications.nothing_for(DUPLICATES_SECONDS)


async def test_each_user_is_notified_only_of_own_tasks(local_stack: LocalStack, app: Application) -> None:
    one, other = await asyncio.gather(signed_in(app), signed_in(app))
    async with AsyncExitStack() as stack:
        ones, others = [await stack.enter_async_context(user.subscribed()) for user in (one, other)]
        ids = [*await one.post("of one"), *await other.post("of the other")]
        assert [received["taskId"] for received in await receive(ones, 1)] == [ids[0]]
        assert [received["taskId"] for received in await receive(others, 1)] == [ids[1]]
        assert await ones.nothing_for(DUPLICATES_SECONDS)


async def test_nobody_can_subscribe_to_another_users_topic(local_stack: LocalStack, app: Application) -> None:
    one, other = await asyncio.gather(signed_in(app), signed_in(app))
    with pytest.raises(SubscriptionRefusedError, match="PERMISSION_DENIED"):
        async with subscriber(replace(one.access, topic=other.access.topic)):
            pass


async def test_many_tasks_submitted_together_are_each_notified_once(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    async with user.subscribed() as notifications:
        ids = await user.post(*(f"task {number}" for number in range(40)))
        received = await receive(notifications, 40)
        assert sorted(str(one["taskId"]) for one in received) == sorted(ids)
        assert await notifications.nothing_for(DUPLICATES_SECONDS)


async def test_a_repeated_post_with_the_same_key_runs_once_and_its_notifications_are_equal(
    local_stack: LocalStack, app: Application
) -> None:
    user = await signed_in(app)
    before = await processed(local_stack)
    headers = {"Authorization": f"Bearer {user.id_token}", "Idempotency-Key": secrets.token_hex(8)}
    async with user.subscribed() as notifications:
        async with aiohttp.ClientSession(headers=headers) as session:
            ids = []
            for _ in range(2):
                async with session.post(f"{user.config.api_url}/task", json={"data": "once"}) as answer:
                    assert answer.status == 202
                    ids.append((await answer.json())["taskId"])
        assert ids[0] == ids[1]
        received = await receive(notifications, 2)
        assert received[0]["taskId"] == ids[0]
        assert received[0] == received[1]  # a client shows them once
        assert await notifications.nothing_for(DUPLICATES_SECONDS)
    assert await processed(local_stack) - before == Counter(run=1, finished=1, duplicate=1)


async def processed(stack: LocalStack) -> Counter[str]:
    """The number of completed handlers, and the outcomes of messages."""
    found = await metrics_at(f"http://127.0.0.1:{stack.environment('processor')['OPS_PORT']}")
    runs = found.get('notification_api_task_duration_seconds_count{outcome="finished",type="default"}', 0)
    outcomes = ("finished", "duplicate", "failed", "requeued")
    counts = {
        one: found.get(f'notification_api_tasks_processed_total{{outcome="{one}",type="default"}}', 0)
        for one in outcomes
    }
    return Counter(run=int(runs), **{one: int(count) for one, count in counts.items()})


async def test_a_wrong_confirmation_code_and_a_wrong_password_are_rejected(app: Application) -> None:
    config, user = await app.config(), random_credentials()
    await sign_up(app.http, config, user)
    code = await app.mailed_code(user.email)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    with pytest.raises(CognitoError, match="CodeMismatchException"):
        await confirm_sign_up(app.http, config, user, wrong)
    with pytest.raises(CognitoError, match="UserNotConfirmedException"):
        await sign_in(app.http, config, user)
    await confirm_sign_up(app.http, config, user, code)
    with pytest.raises(CognitoError, match="NotAuthorizedException"):
        await sign_in(app.http, config, replace(user, password=f"{user.password}!"))
    assert (await sign_in(app.http, config, user)).id_token


@pytest.mark.parametrize(("method", "path"), [("GET", "token"), ("POST", "task")])
async def test_a_forged_id_token_is_rejected_with_cors(
    local_stack: LocalStack, app: Application, method: str, path: str
) -> None:
    user = await signed_in(app)
    head, payload, signature = user.id_token.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}{'A' * 8}"
    url = f"{user.config.api_url}/{path}"
    headers = {"Authorization": f"Bearer {forged}", "Origin": local_stack.page_url}
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, json=None) as answer:
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Access-Control-Allow-Origin"] == local_stack.page_url


async def test_notifications_missed_while_offline_can_be_fetched(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    async with user.subscribed() as notifications:
        (task_id,) = await user.post("while away")
        (received,) = await receive(notifications, 1)
    headers = {"Authorization": f"Bearer {user.id_token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{user.config.api_url}/notifications", params={"after": "0"}) as answer,
    ):
        assert answer.status == 200
        fetched = (await answer.json())["notifications"]
    assert [one["taskId"] for one in fetched] == [task_id]
    assert fetched[0] == received


async def test_a_stopped_processor_loses_nothing(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    async with user.subscribed() as notifications:
        with local_stack.restarted("processor", {"ECHO_SECONDS": "0.5", "CONCURRENCY": "2"}):
            ids = await user.post(*(f"task {number}" for number in range(8)))
            first = await receive(notifications, 1)
            status = await asyncio.to_thread(local_stack.stop, "processor")
            assert status == 0
        rest = await receive(notifications, 7)
        assert sorted(str(one["taskId"]) for one in first + rest) == sorted(ids)
        assert await notifications.nothing_for(DUPLICATES_SECONDS)


async def test_a_rotated_momento_key_takes_effect_without_a_restart_and_nothing_is_lost(
    local_stack: LocalStack, app: Application
) -> None:
    user = await signed_in(app)
    pids = {name: local_stack.pid(name) for name in ("token", "processor")}
    async with user.subscribed() as notifications:
        posting = asyncio.create_task(_post_steadily(user, 20))
        received = await receive(notifications, 2)
        await rotate_momento_key(local_stack, "v2")
        ids = await posting
        received += await receive(notifications, 18)
        assert sorted(str(one["taskId"]) for one in received) == sorted(ids)
        assert await notifications.nothing_for(DUPLICATES_SECONDS)
    newcomer = await signed_in(app)
    async with newcomer.subscribed() as notifications:
        (task_id,) = await newcomer.post("after the rotation")
        assert [received["taskId"] for received in await receive(notifications, 1)] == [task_id]
    assert pids == {name: local_stack.pid(name) for name in pids}


async def _post_steadily(user: User, count: int) -> list[str]:
    ids: list[str] = []
    for number in range(count):
        ids += await user.post(f"steady {number}")
        await asyncio.sleep(0.05)  # the rate of the load
    return ids
