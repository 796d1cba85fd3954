"""Subscribe with the Momento SDK and hand on what arrives.

Two traps of the SDK (momento 1.29.1) decide how. A stream gets the client's timeout as its deadline, so the client
is made for subscribing alone, with a very long one. And once a stream has ended, reading from it returns to the
SDK's own loop at once and for ever: in an event loop that stalls everything. So it is read in a thread, which ends
with the process.
"""

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from momento import CredentialProvider, TopicClient
from momento.config import TopicConfigurations
from momento.responses import TopicSubscribe, TopicSubscriptionItem

from local.demo.api import Access
from local.demo.errors import DemoError

STREAM_DEADLINE = timedelta(days=1)
TLS_PORT = 443


@dataclass(frozen=True, slots=True)
class News:
    """What arrived and when, on the monotonic clock in seconds."""

    text: str
    at: float


def credentials(token: str) -> CredentialProvider:
    """Where and as whom to connect: a disposable token is base64 JSON of `endpoint` and `api_key`."""
    try:
        fields = json.loads(base64.b64decode(token, validate=True))
        endpoint, key = str(fields["endpoint"]), str(fields["api_key"])
        host, _, port = endpoint.partition(":")
        number = int(port or TLS_PORT)
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise DemoError("The token service gave something that is no disposable token.") from None
    if number == TLS_PORT:
        return CredentialProvider.from_disposable_token(token)
    return CredentialProvider(key, host, host, host, number)


def listen(access: Access, tell: Callable[[News], object]) -> None:
    """Subscribe, return once that has succeeded, and from then on call `tell` in a thread of its own.

    Blocks for as long as the subscription takes to stand. Raises DemoError when it is refused.
    """
    client = TopicClient(
        TopicConfigurations.Default.v1().with_client_timeout(STREAM_DEADLINE), credentials(access.token)
    )
    answer = client.subscribe(access.cache_name, access.topic)
    if not isinstance(answer, TopicSubscribe.Subscription):
        raise DemoError(f"The subscription was refused: {getattr(answer, 'message', answer)}")
    threading.Thread(target=_read, args=(client, answer, tell), name="news", daemon=True).start()


def _read(client: TopicClient, subscription: TopicSubscribe.Subscription, tell: Callable[[News], object]) -> None:
    with client:
        for item in subscription:
            if isinstance(item, TopicSubscriptionItem.Text):
                tell(News(item.value, time.monotonic()))
