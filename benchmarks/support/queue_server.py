"""The queue server under a benchmark: ElasticMQ, or MiniStack with a warning where ElasticMQ cannot run."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.elasticmq import ElasticMqUnavailableError, elasticmq
from tests.support.processes.ministack import ministack_process

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class QueueServer:
    """A running SQS server."""

    name: str
    endpoint: str

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that uses it; the credentials are dummies."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }


@asynccontextmanager
async def queue_server(folder: Path) -> AsyncIterator[QueueServer]:
    """Run a queue server for the duration of the context, with its files in `folder`."""
    async with AsyncExitStack() as opened:
        try:
            endpoint = await opened.enter_async_context(elasticmq(folder))
            server = QueueServer("ElasticMQ", endpoint)
        except ElasticMqUnavailableError as reason:
            print(f"WARNING: MiniStack instead of ElasticMQ, whose figures differ: {reason}.", file=sys.stderr)
            emulated = opened.enter_context(ministack_process())
            server = QueueServer("MiniStack", emulated.endpoint_url)
        yield server
