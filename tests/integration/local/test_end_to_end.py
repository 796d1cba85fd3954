"""From sign-up to news through the real services, each a process of its own, over unmodified SDKs."""

import asyncio
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import aiohttp
import pytest

from local.demo.sign_up import Application, application, random_credentials, signed_in_user
from notification_api.client.errors import CognitoError, SubscriptionRefusedError
from notification_api.client.http import DisposableToken, StageClient
from notification_api.client.sign_in import confirm_sign_up, sign_in, sign_up
from notification_api.client.subscription import subscribe
from tests.support.momento.key_rotation import rotate_momento_key
from tests.support.momento.subscriber import Subscriber, subscriber
from tests.support.processes.local_stack import LocalStack
from tests.support.processor.stage import metrics_at

pytestmark = pytest.mark.timeout(150)  # the first test also starts the stack

A_MOMENT_SECONDS = 1.0
"""Long enough for a double to come."""


class User:
    """Somebody who has signed up and in, and subscribed."""

    def __init__(self, stage: StageClient, token: DisposableToken) -> None:
        self.stage = stage
        self.config = stage.config
        self.id_token = stage.id_token
        self.token = token

    async def post(self, data: str) -> str:
        return await self.stage.submit_task(data)

    @contextmanager
    def subscribed(self, stack: LocalStack) -> Iterator[Subscriber]:
        with subscriber(self.token, stack.environment("processor")) as news:
            yield news


@pytest.fixture
async def app(local_stack: LocalStack) -> AsyncIterator[Application]:
    async with application(local_stack.page_url) as app:
        yield app


async def signed_in(app: Application) -> User:
    stage = await signed_in_user(app)
    return User(stage, await stage.get_token())


async def heard(news: Subscriber, count: int, seconds: float = 30.0) -> list[dict[str, object]]:
    return [await asyncio.to_thread(news.next, seconds) for _ in range(count)]


async def test_news_of_a_posted_task_arrives_once(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    with user.subscribed(local_stack) as news:
        before = int(time.time() * 1000)
        task_id = await user.post("größer 👍🏽")
        (told,) = await heard(news, 1)
        assert told["taskId"] == task_id
        assert told["status"] == "finished"
        assert told["message"] == "Finished task: größer 👍🏽"
        assert before <= int(str(told["time"])) <= time.time() * 1000
        assert await asyncio.to_thread(news.nothing_for, A_MOMENT_SECONDS)


async def test_each_user_hears_of_own_tasks_only(local_stack: LocalStack, app: Application) -> None:
    one, other = await asyncio.gather(signed_in(app), signed_in(app))
    with ExitStack() as stack:
        ones, others = (stack.enter_context(user.subscribed(local_stack)) for user in (one, other))
        ids = await one.post("of one"), await other.post("of the other")
        assert [told["taskId"] for told in await heard(ones, 1)] == [ids[0]]
        assert [told["taskId"] for told in await heard(others, 1)] == [ids[1]]
        assert await asyncio.to_thread(ones.nothing_for, A_MOMENT_SECONDS)


async def test_nobody_can_listen_to_another_users_topic(local_stack: LocalStack, app: Application) -> None:
    one, other = await asyncio.gather(signed_in(app), signed_in(app))
    with pytest.raises(SubscriptionRefusedError, match="refused"):
        await subscribe(replace(one.token, topic=other.token.topic))


async def test_many_tasks_posted_together_are_each_told_once(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    with user.subscribed(local_stack) as news:
        ids = await asyncio.gather(*(user.post(f"task {number}") for number in range(40)))
        told = await heard(news, 40)
        assert sorted(str(one["taskId"]) for one in told) == sorted(ids)
        assert await asyncio.to_thread(news.nothing_for, A_MOMENT_SECONDS)


async def test_a_repeated_post_with_the_same_key_runs_once_and_its_news_say_the_same(
    local_stack: LocalStack, app: Application
) -> None:
    user = await signed_in(app)
    before = await processed(local_stack)
    headers = {"Authorization": f"Bearer {user.id_token}", "Idempotency-Key": secrets.token_hex(8)}
    with user.subscribed(local_stack) as news:
        async with aiohttp.ClientSession(headers=headers) as session:
            ids = []
            for _ in range(2):
                async with session.post(f"{user.config.task_url}/task", json={"data": "once"}) as answer:
                    assert answer.status == 202
                    ids.append((await answer.json())["taskId"])
        assert ids[0] == ids[1]
        told = await heard(news, 2)
        assert told[0]["taskId"] == ids[0]
        assert told[0] == told[1]  # which a client takes for one
        assert await asyncio.to_thread(news.nothing_for, A_MOMENT_SECONDS)
    assert await processed(local_stack) - before == Counter(run=1, finished=1, repeated=1)


async def processed(stack: LocalStack) -> Counter[str]:
    """How many handlers have run to their end, and what became of messages."""
    found = await metrics_at(f"http://127.0.0.1:{stack.environment('processor')['OPS_PORT']}")
    runs = found.get('notification_api_task_duration_seconds_count{outcome="finished"}', 0)
    outcomes = ("finished", "repeated", "failed", "returned")
    counts = {one: found.get(f'notification_api_tasks_processed_total{{outcome="{one}"}}', 0) for one in outcomes}
    return Counter(run=int(runs), **{one: int(count) for one, count in counts.items()})


async def test_a_wrong_confirmation_code_and_a_wrong_password_are_refused(app: Application) -> None:
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


@pytest.mark.parametrize("path", ["token/token", "ingest/task"])
async def test_a_forged_id_token_is_refused_with_cors(local_stack: LocalStack, app: Application, path: str) -> None:
    user = await signed_in(app)
    head, payload, signature = user.id_token.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}{'A' * 8}"
    service, _, route = path.partition("/")
    url = f"{user.config.token_url if service == 'token' else user.config.task_url}/{route}"
    method = "GET" if service == "token" else "POST"
    headers = {"Authorization": f"Bearer {forged}", "Origin": local_stack.page_url}
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, json=None) as answer:
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Access-Control-Allow-Origin"] == local_stack.page_url


async def test_news_missed_while_away_can_be_fetched(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    with user.subscribed(local_stack) as news:
        task_id = await user.post("while away")
        (told,) = await heard(news, 1)
    headers = {"Authorization": f"Bearer {user.id_token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{user.config.token_url}/notifications", params={"after": "0"}) as answer,
    ):
        assert answer.status == 200
        fetched = (await answer.json())["notifications"]
    assert [one["taskId"] for one in fetched] == [task_id]
    assert fetched[0] == told


async def test_a_processor_that_is_told_to_stop_loses_nothing(local_stack: LocalStack, app: Application) -> None:
    user = await signed_in(app)
    with user.subscribed(local_stack) as news:
        with local_stack.restarted("processor", {"ECHO_SECONDS": "0.5", "CONCURRENCY": "2"}):
            ids = await asyncio.gather(*(user.post(f"task {number}") for number in range(8)))
            first = await heard(news, 1)
            status = await asyncio.to_thread(local_stack.stop, "processor", signal.SIGTERM)
            assert status == 0
        rest = await heard(news, 7)
        assert sorted(str(one["taskId"]) for one in first + rest) == sorted(ids)
        assert await asyncio.to_thread(news.nothing_for, A_MOMENT_SECONDS)


async def test_a_rotated_momento_key_takes_effect_without_a_restart_and_nothing_is_lost(
    local_stack: LocalStack, app: Application
) -> None:
    user = await signed_in(app)
    pids = {name: local_stack.pid(name) for name in ("token", "processor")}
    with user.subscribed(local_stack) as news:
        posting = asyncio.create_task(_post_steadily(user, 20))
        told = await heard(news, 2)
        await rotate_momento_key(local_stack, "v2")
        ids = await posting
        told += await heard(news, 18)
        assert sorted(str(one["taskId"]) for one in told) == sorted(ids)
        assert await asyncio.to_thread(news.nothing_for, A_MOMENT_SECONDS)
    newcomer = await signed_in(app)
    with newcomer.subscribed(local_stack) as news:
        task_id = await newcomer.post("after the rotation")
        assert [told["taskId"] for told in await heard(news, 1)] == [task_id]
    assert pids == {name: local_stack.pid(name) for name in pids}


async def _post_steadily(user: User, count: int) -> list[str]:
    ids = []
    for number in range(count):
        ids.append(await user.post(f"steady {number}"))
        await asyncio.sleep(0.05)  # the pace of the test's load, not a wait for anything
    return ids
