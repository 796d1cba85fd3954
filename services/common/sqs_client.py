"""One SQS client a process, with deadlines on every call. Its creation costs 70 to 220 ms: once, at start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from types_aiobotocore_sqs import SQSClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0


@asynccontextmanager
async def sqs_client(*, wait_seconds: float = 0.0, max_connections: int = 20) -> AsyncIterator[SQSClient]:
    """Open a client; region, credentials and endpoint come the SDK's own way.

    :param wait_seconds: the longest long poll, which must not run into the read deadline.
    :param max_connections: calls at the same time.
    """
    config = AioConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=wait_seconds + READ_SECONDS,
        max_pool_connections=max_connections,
        # Ours is the only retry: two layers of them multiply, and SQS batches need one that looks into `Failed`.
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
    )
    async with get_session().create_client("sqs", config=config) as client:
        yield client
