"""The plain worker: receives ten, parses them, and deletes them in a batch or one by one, nothing else.

Also the bare limit of a queue server: with a dozen of its loops side by side. Prints one JSON object.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

_EMPTY_ANSWERS = 3


@dataclass(slots=True)
class Result:
    """What one run did, from its first receive call to its last deletion."""

    messages: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


async def work(client: Any, url: str, result: Result, count: int, *, batch: bool) -> None:
    """Work until `count` messages are done, or the queue stays empty."""
    empty = 0
    while result.messages < count and empty < _EMPTY_ANSWERS:
        answer = await client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, MessageAttributeNames=["All"]
        )
        messages = answer.get("Messages", [])
        empty = 0 if messages else empty + 1
        for message in messages:
            orjson.loads(message["Body"])
        if batch and messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            await client.delete_message_batch(QueueUrl=url, Entries=entries)
        elif messages:
            for message in messages:
                await client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        result.messages += len(messages)


async def run(url: str, loops: int, count: int, *, batch: bool) -> Result:
    result = Result()
    config = AioConfig(max_pool_connections=loops)
    async with get_session().create_client("sqs", config=config) as client:
        await client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])  # the connection is there
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(client, url, result, count, batch=batch) for _ in range(loops)))
        result.seconds = time.perf_counter() - began
        result.cpu_seconds = time.process_time() - used
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain.processor", description=__doc__)
    parser.add_argument("--queue-url", required=True)
    parser.add_argument("--loops", type=int, default=1)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--delete", choices=("batch", "single"), default="batch")
    options = parser.parse_args()
    result = uvloop.run(run(options.queue_url, options.loops, options.count, batch=options.delete == "batch"))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
