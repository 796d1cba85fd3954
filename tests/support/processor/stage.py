"""A stage for tests of the processor: queues on a real queue server and a cache on the Momento emulator.

The servers are shared by the session; every test has its own queues and cache.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiobotocore.session import get_session
from aiohttp import ClientSession
from momento.responses import CacheDictionaryFetch, CacheDictionarySetFields, CacheGet

from notification_api.task import DEFAULT_TYPE
from services.common.messages.notification import user_topic
from services.common.messages.task_message import TaskMessage
from services.common.momento.cancel_requests import NAME
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.stream import MomentoStream, momento_stream
from tests.support.processes.ministack import MiniStack, ministack_process
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

_SESSION = get_session()
PARAMETER = "/notification-api/test/momento-api-key"


@dataclass(frozen=True)
class ProcessorServers:
    """The emulated AWS and Momento, and an API key that is in SSM."""

    aws: MiniStack
    momento: MomentoEmulator
    key: str


@pytest.fixture(scope="session")
def processor_servers() -> Iterator[ProcessorServers]:
    with ministack_process() as aws, momento_emulator_process() as momento:
        key = momento.make_key().v2
        asyncio.run(_put_key(aws, key))
        yield ProcessorServers(aws, momento, key)


async def _put_key(aws: MiniStack, key: str) -> None:
    async with _SESSION.create_client("ssm", **aws.client_settings()) as ssm:
        await ssm.put_parameter(Name=PARAMETER, Value=key, Type="SecureString", Overwrite=True)


class Notifications:
    """Notifications received on a user's topic, in order."""

    def __init__(self, stream: MomentoStream) -> None:
        self.texts: list[str] = []
        """All but those that announce a retry."""
        self.retries: list[dict[str, Any]] = []
        self._stream = stream
        self._arrived = asyncio.Condition()

    async def collect(self) -> None:
        while True:
            text = (await self._stream.item()).value.text
            if '"nextAttemptAt"' in text:
                self.retries.append(json.loads(text))
                continue
            async with self._arrived:
                self.texts.append(text)
                self._arrived.notify_all()

    async def wait(self, count: int, seconds: float = 15.0) -> None:
        """Wait for `count` notifications; fails when they do not come in time."""
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: len(self.texts) >= count)
        except TimeoutError:
            raise AssertionError(f"{len(self.texts)} of {count} notifications within {seconds} s") from None

    @property
    def received(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    def statuses(self) -> list[tuple[str, str]]:
        return [(one["taskId"], one["status"]) for one in self.received]


@dataclass
class ProcessorStage:
    """Two queues and a cache. `sqs` calls the queue server itself, whatever a processor's endpoint is."""

    servers: ProcessorServers
    sqs: "SQSClient"
    momento: MomentoSdk
    queue_url: str
    dead_letter_queue_url: str
    cache_name: str
    sent: list[str] = field(default_factory=list)

    def environment(self, **changes: str) -> dict[str, str]:
        """A processor's settings: short times, so that tests need not wait long."""
        return {
            **self.servers.aws.environment(),
            "AWS_EC2_METADATA_DISABLED": "true",
            "SERVICE_NAME": "notification-api",
            "STAGE_NAME": "test",
            "LOG_LEVEL": "DEBUG",
            "HOST": "127.0.0.1",
            "TASK_QUEUE_URL": self.queue_url,
            "DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "MOMENTO_API_KEY_PARAM_NAME": PARAMETER,
            "MOMENTO_CACHE_NAME": self.cache_name,
            "MOMENTO_ENDPOINT": self.servers.momento.endpoint,
            "RECEIVE_WAIT_SECONDS": "1",
            "VISIBILITY_TIMEOUT_SECONDS": "3",
            "BACKOFF_BASE_SECONDS": "0",
            "SHUTDOWN_GRACE_SECONDS": "8",
            **changes,
        }

    async def send(
        self,
        user_id: str,
        data: Any = "x",
        *,
        task_id: str | None = None,
        idempotent: bool = False,
        task_type: str = DEFAULT_TYPE,
        expires_at_ms: int | None = None,
        **fields: Any,
    ) -> str:
        """Send a task as ingest does; `fields` go into its payload beside `data`. Returns its id."""
        task = TaskMessage(
            task_id=task_id or str(uuid4()),
            user_id=user_id,
            payload=json.dumps({"data": data, **fields}),
            idempotent=idempotent,
            type=task_type,
            expires_at_ms=expires_at_ms,
        )
        await self.send_raw(task.body(), task.attributes(), group_id=user_id)
        return task.task_id

    async def send_raw(
        self, body: str, attributes: Mapping[str, str | bytes] | None = None, group_id: str | None = None
    ) -> str:
        """Send any message; returns its message id."""
        group: dict[str, Any] = {"MessageGroupId": group_id} if group_id else {}
        sent = await self.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageBody=body,
            MessageAttributes={name: _attribute(value) for name, value in (attributes or {}).items()},
            **group,
        )
        return sent["MessageId"]

    async def cancel(self, user_id: str, task_id: str) -> None:
        """Request that a task is cancelled, as the token service does."""
        field, value = f"{user_id} {task_id}", str(int(time.time() * 1000))
        answer = await self.momento.caches.dictionary_set_fields(self.cache_name, NAME, {field: value})
        assert isinstance(answer, CacheDictionarySetFields.Success), answer

    async def cancel_requests(self) -> list[str]:
        """The outstanding cancel requests, as user id and task id."""
        answer = await self.momento.caches.dictionary_fetch(self.cache_name, NAME)
        return list(answer.value_dictionary_string_string) if isinstance(answer, CacheDictionaryFetch.Hit) else []

    async def item(self, kind: str, user_id: str, task_id: str) -> bytes | None:
        """A task's status snapshot (`task`) or whole result (`result`) in the cache."""
        answer = await self.momento.caches.get(self.cache_name, f"{kind}:{user_id} {task_id}")
        return answer.value_bytes if isinstance(answer, CacheGet.Hit) else None

    async def depth(self, url: str | None = None) -> tuple[int, int]:
        """Messages that are visible, and in flight."""
        answer = await self.sqs.get_queue_attributes(QueueUrl=url or self.queue_url, AttributeNames=["All"])
        attributes: Mapping[Any, str] = answer["Attributes"]
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    async def until_empty(self, seconds: float = 15.0) -> None:
        """Wait until the task queue has no messages, in flight or not."""
        await self.until_depth((0, 0), seconds)

    async def until_depth(self, depth: tuple[int, int], seconds: float = 15.0) -> None:
        seen: list[tuple[int, int]] = []

        async def reached() -> bool:
            seen[:] = [await self.depth()]
            return seen[0] == depth

        try:
            await wait_until(reached, timeout_seconds=seconds)
        except AssertionError:
            raise AssertionError(f"the queue has {seen}, not {depth}") from None

    async def dead_letters(self, count: int, seconds: float = 15.0) -> list[dict[str, Any]]:
        """The first `count` dead letters; their attributes as plain text."""
        letters: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(seconds):
                while len(letters) < count:
                    answer = await self.sqs.receive_message(
                        QueueUrl=self.dead_letter_queue_url,
                        MaxNumberOfMessages=10,
                        MessageAttributeNames=["All"],
                        WaitTimeSeconds=1,
                    )
                    letters += [_letter(message) for message in answer.get("Messages", [])]
        except TimeoutError:
            raise AssertionError(f"{len(letters)} of {count} dead letters within {seconds} s: {letters}") from None
        return letters

    @asynccontextmanager
    async def notifications(self, user_id: str) -> AsyncIterator[Notifications]:
        """Subscribe to a user's topic."""
        momento = self.servers.momento
        topic = user_topic(user_id)
        async with momento_stream(momento, self.servers.key, self.cache_name, topic) as stream:
            assert await stream.next_kind() == "heartbeat"
            notifications = Notifications(stream)
            collecting = asyncio.create_task(notifications.collect())
            try:
                yield notifications
            finally:
                collecting.cancel()
                await asyncio.wait({collecting})


def _attribute(value: str | bytes) -> Any:
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": value}
    return {"DataType": "String", "StringValue": value}


def _letter(message: Mapping[str, Any]) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "body": message["Body"],
        **{name: one.get("StringValue", one.get("BinaryValue")) for name, one in attributes.items()},
    }


@asynccontextmanager
async def new_stage(servers: ProcessorServers) -> AsyncIterator[ProcessorStage]:
    """A stage of its own on shared servers."""
    name = uuid4().hex[:12]
    async with (
        _SESSION.create_client("sqs", **servers.aws.client_settings()) as sqs,
        open_momento_sdk(servers.momento, servers.key) as momento,
    ):
        urls = [(await sqs.create_queue(QueueName=f"{name}-{what}"))["QueueUrl"] for what in ("tasks", "dlq")]
        yield ProcessorStage(servers, sqs, momento, urls[0], urls[1], await momento.new_cache())


@pytest.fixture
async def stage(processor_servers: ProcessorServers) -> AsyncIterator[ProcessorStage]:
    async with new_stage(processor_servers) as made:
        yield made


async def metrics_at(ops_url: str) -> dict[str, float]:
    """A process's metrics by name and labels, as in the exposition format."""
    async with ClientSession() as session, session.get(f"{ops_url}/metrics") as answer:
        return parsed((await answer.text()).splitlines())


def parsed(lines: Sequence[str]) -> dict[str, float]:
    return {
        name: float(value) for line in lines if not line.startswith("#") for name, _, value in [line.rpartition(" ")]
    }
