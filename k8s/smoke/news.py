"""One's own topic, read with the Momento SDK.

Read in a thread: a stream of the SDK (momento 1.29.1) that has ended returns at once for ever, which in an event loop
stalls everything. The thread ends with the process.
"""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import orjson
from momento import TopicClient
from momento.config import TopicConfigurations
from momento.responses import TopicSubscribe, TopicSubscriptionItem

from k8s.smoke.errors import SmokeError
from services.common.momento.api_key import credential_provider

News = asyncio.Queue[str]


def subscribe(access: dict[str, Any], endpoint: str | None, seconds: float) -> TopicSubscribe.Subscription:
    """Subscribe for so long; blocks. Raises SmokeError when it is refused."""
    configuration = TopicConfigurations.Default.v1().with_client_timeout(timedelta(seconds=seconds))
    client = TopicClient(configuration, credential_provider(access["token"], endpoint))
    answer = client.subscribe(access["cacheName"], access["topic"])
    if not isinstance(answer, TopicSubscribe.Subscription):
        raise SmokeError(f"Momento refused the subscription: {getattr(answer, 'message', answer)}")
    return answer


def read(subscription: TopicSubscribe.Subscription, loop: asyncio.AbstractEventLoop, news: News) -> None:
    """Put everything that comes into `news`, from a thread of its own."""

    def run() -> None:
        for item in subscription:
            if isinstance(item, TopicSubscriptionItem.Text):
                loop.call_soon_threadsafe(news.put_nowait, item.value)

    threading.Thread(target=run, name="news", daemon=True).start()


async def of_task(news: News, task_id: str) -> str:
    """The final word about this task; what is told of others is passed over."""
    while True:
        told = orjson.loads(await news.get())
        if told["taskId"] == task_id and told["status"] != "progress":
            return f"{told['status']}: {told['message']}"
