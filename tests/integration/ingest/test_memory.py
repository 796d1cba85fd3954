"""The memory of the ingest service with many clients, measured in its own process."""

import asyncio
import gzip
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiobotocore.session import get_session

from tests.support.identity import jwks_server
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.processes.service import ServiceProcess, service_process
from tests.support.served_service import id_token, service_environment
from tests.support.sqs_fault_proxy import sqs_fault_proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # the proxy's

LIMIT_MIB = 256
POSTS = 250
EMOJI_BODY = '{"data": "😀'.encode() + b"x" * (262_144 - 16) + b'"}'
"""It takes four bytes a character as text."""
QUOTES_BODY = b'{"data": "' + b'\\"' * 131_066 + b'"}'
"""It is twice as large in the message on the queue."""


@dataclass
class Ingest:
    """The service as a process."""

    process: ServiceProcess

    def peak_mib(self) -> float:
        """The peak memory of the process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    async def begin(self, opened: AsyncExitStack, user_id: str, rest: bytes) -> None:
        """Send the headers of a post, and `rest` after them, on a connection that `opened` keeps open."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.process.port)
        opened.callback(writer.close)
        token = id_token(user_id, now=time.time())
        head = f"POST /task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        with suppress(ConnectionError):
            writer.write(head.encode() + rest)
            await writer.drain()

    async def post(self, session: aiohttp.ClientSession, body: bytes, user_id: str = "alice") -> tuple[int, str | None]:
        """Status and Retry-After."""
        headers = {"Authorization": f"Bearer {id_token(user_id, now=time.time())}", "Content-Type": "application/json"}
        async with session.post(f"{self.process.url}/task", data=BytesIO(body), headers=headers) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Retry-After")


@pytest.fixture
async def ingest(aws: MiniStack, tmp_path: Path) -> AsyncIterator[Ingest]:
    account_id = new_account_id()
    async with (
        jwks_server() as jwks,
        get_session().create_client("sqs", **aws.client_settings(account_id)) as sqs,
        sqs_fault_proxy(aws.endpoint_url) as proxy,
    ):
        url = (await sqs.create_queue(QueueName="tasks"))["QueueUrl"]
        proxy.fault(action="SendMessageBatch", delay_seconds=0.5)
        settings = {
            **service_environment(aws, account_id, jwks),
            "TASK_QUEUE_URL": url,
            "AWS_ENDPOINT_URL": proxy.url,
            "TASKS_PER_MINUTE": "0",
            "MEMORY_LIMIT_BYTES": str(LIMIT_MIB * 2**20),
        }
        async with service_process("services.ingest", settings, tmp_path) as process:
            yield Ingest(process)


@pytest.mark.parametrize("body", [EMOJI_BODY, QUOTES_BODY], ids=["an emoji", "quotes"])
async def test_a_crowd_of_large_posts_is_accepted_or_refused_within_the_memory(ingest: Ingest, body: bytes) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        posts = (ingest.post(session, body, f"user-{number % 5}") for number in range(POSTS))
        answers = await asyncio.gather(*posts)
        statuses = Counter(status for status, _ in answers)
        assert set(statuses) <= {202, 503}
        assert statuses[202] >= 40
        assert {wait for status, wait in answers if status == 503} <= {"1"}
        assert ingest.peak_mib() < 200
        assert await ingest.post(session, body) == (202, None)


BODIES = {
    "a length": b"Content-Length: 262144\r\n\r\n",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    "a length and a byte": b"Content-Length: 262144\r\n\r\n{",
    "a chunk": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_announced_bodies_that_are_never_sent_do_not_block_others(ingest: Ingest, body: bytes) -> None:
    async with AsyncExitStack() as opened, aiohttp.ClientSession() as session:
        for number in range(400):
            await ingest.begin(opened, f"user-{number % 2}", body)
        for text in (b'{"data": "hello"}', EMOJI_BODY):
            assert await ingest.post(session, text) == (202, None)
            assert await ingest.post(session, text, "user-0") == (202, None)


async def test_slow_uploads_of_large_bodies_leave_room_for_small_ones(ingest: Ingest) -> None:
    """Five users send as many large bodies as fit into the memory limit, without their last bytes."""
    async with AsyncExitStack() as opened, aiohttp.ClientSession() as session:
        for number in range(100):
            rest = b"Content-Length: %d\r\n\r\n" % len(EMOJI_BODY) + EMOJI_BODY[:-1]
            await ingest.begin(opened, f"user-{number % 5}", rest)
        await wait_until(lambda: refused_bodies(ingest), timeout_seconds=5)
        assert await ingest.post(session, b'{"data": "hello"}') == (202, None)


async def refused_bodies(ingest: Ingest) -> bool:
    return (await ingest.process.metrics()).get('notification_api_memory_refused_total{budget="bodies"}', 0.0) > 0


TINY_FIELDS = b"".join(b"%x:a\r\n" % number for number in range(126))


async def test_many_tiny_header_fields_on_many_connections(ingest: Ingest) -> None:
    before = ingest.peak_mib()
    head = b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + TINY_FIELDS
    async with AsyncExitStack() as opened:
        for _ in range(1_000):
            _, writer = await asyncio.open_connection("127.0.0.1", ingest.process.port)
            opened.callback(writer.close)
            writer.write(head + b"\r\n" + head)
        async with aiohttp.ClientSession() as session:
            assert await ingest.post(session, b'{"data": "x"}') == (202, None)
    assert ingest.peak_mib() - before < 45


def header_bomb(fields: int) -> bytes:
    values = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 250_000) for number in range(fields))
    return b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + values


async def sent_raw(ingest: Ingest, sent: bytes) -> bytes:
    """The response until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.process.port)
    try:
        with suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
            return await reader.read()
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["ended", "without an end"])
async def test_a_bomb_of_many_header_fields_without_a_token(ingest: Ingest, end: bytes) -> None:
    before = ingest.peak_mib()
    answers = await asyncio.gather(*(sent_raw(ingest, header_bomb(100) + end) for _ in range(8)))
    assert {answer[9:12] for answer in answers} == {b"431"}
    assert ingest.peak_mib() - before < 30


async def test_large_headers_without_an_end_on_many_connections(ingest: Ingest) -> None:
    before = ingest.peak_mib()
    sending = [asyncio.create_task(sent_raw(ingest, header_bomb(1))) for _ in range(300)]
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while sum(one.done() for one in sending) < 200:  # closed to make room for the others
            assert await ingest.post(session, b'{"data": "x"}') == (202, None)
    for one in sending:
        one.cancel()
    await asyncio.wait(sending)
    assert ingest.peak_mib() - before < 80


CODINGS = ["gzip", "deflate", "br", "zstd", "gzip, gzip", "gzp"]


async def test_a_compressed_bomb_without_a_token(ingest: Ingest) -> None:
    before = ingest.peak_mib()
    longest, plain = 0.0, b"x" * 100_000_000
    deflated, gzipped = zlib.compress(plain), gzip.compress(plain)
    async with aiohttp.ClientSession() as session:

        async def post(coding: str) -> int:
            headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
            body = BytesIO(gzipped if "gzip" in coding else deflated)
            async with session.post(f"{ingest.process.url}/task", data=body, headers=headers) as answer:
                assert answer.content_type == "application/problem+json"
                return answer.status

        posting = asyncio.gather(*(post(coding) for coding in CODINGS * 10))
        while not posting.done():
            asked = time.monotonic()
            async with session.get(f"{ingest.process.ops_url}/livez") as answer:
                assert answer.status == 200
            longest = max(longest, time.monotonic() - asked)
        assert set(await posting) == {415}
    assert longest < 1
    assert ingest.peak_mib() - before < 50
