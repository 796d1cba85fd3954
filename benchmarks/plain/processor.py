"""The plain processor: receive ten messages, parse them, delete them in a batch or one by one, nothing else.

Prints one JSON object.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import uvloop
from aiobotocore.session import get_session

_MAX_EMPTY_RECEIVES = 3


@dataclass(slots=True)
class Result:
    """The result of one run, from its first receive call to its last deletion."""

    messages: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


async def work(client: Any, url: str, result: Result, count: int, *, batch: bool) -> None:
    """Receive and delete until `count` messages are done, or the queue stays empty."""
    empty = 0
    while result.messages < count and empty < _MAX_EMPTY_RECEIVES:
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


async def run(url: str, count: int, *, batch: bool) -> Result:
    result = Result()
    async with get_session().create_client("sqs") as client:
        await client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])  # opens the connection
        began_at, used = time.perf_counter(), time.process_time()
        await work(client, url, result, count, batch=batch)
        result.seconds = time.perf_counter() - began_at
        result.cpu_seconds = time.process_time() - used
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain.processor", description=__doc__)
    parser.add_argument("--queue-url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--delete", choices=("batch", "single"), default="batch")
    options = parser.parse_args()
    result = uvloop.run(run(options.queue_url, options.count, batch=options.delete == "batch"))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
