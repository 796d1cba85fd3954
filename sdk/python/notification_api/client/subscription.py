"""Receive a user's notifications with the Momento SDK.

Two properties of the SDK (momento 1.29.1) decide how. It uses the client's timeout as the deadline of a stream, so each
subscription has a client of its own with a long timeout. And it goes on reading a stream that has ended, in a loop
without a pause, which would block an event loop for ever. So a thread reads the stream, and ends with the process.
"""

import asyncio
import base64
import binascii
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from momento import CredentialProvider, TopicClient
from momento.config import TopicConfigurations
from momento.responses import TopicSubscribe, TopicSubscriptionItem

from notification_api.client.errors import InvalidTokenError, SubscriptionRefusedError
from notification_api.client.http import DisposableToken

STREAM_TIMEOUT = timedelta(days=1)
SUBSCRIBE_TIMEOUT_SECONDS = 15.0
TLS_PORT = 443


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """The text of a message on the topic, and when it arrived on the monotonic clock, in seconds."""

    text: str
    received_at: float


async def subscribe(token: DisposableToken, *, endpoint: str | None = None) -> asyncio.Queue[ReceivedNotification]:
    """Subscribe, and return a queue of the notifications that arrive from now on.

    :param endpoint: `http://host:port` of an emulator, where the address in the token cannot be reached.
    :raises InvalidTokenError: when the token is not a disposable token.
    :raises SubscriptionRefusedError: when Momento refuses it.
    :raises TimeoutError: when it takes longer than 15 s.
    """
    received: asyncio.Queue[ReceivedNotification] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_notification(notification: ReceivedNotification) -> None:
        loop.call_soon_threadsafe(received.put_nowait, notification)

    credentials = credential_provider(token.token, endpoint)
    async with asyncio.timeout(SUBSCRIBE_TIMEOUT_SECONDS):
        await asyncio.to_thread(listen, credentials, token.cache_name, token.topic, on_notification)
    return received


def listen(
    credentials: CredentialProvider,
    cache_name: str,
    topic: str,
    on_notification: Callable[[ReceivedNotification], object],
) -> None:
    """Subscribe, blocking until that has succeeded. From then on a thread calls `on_notification`.

    :raises SubscriptionRefusedError: when Momento refuses it.
    """
    client = TopicClient(TopicConfigurations.Default.v1().with_client_timeout(STREAM_TIMEOUT), credentials)
    answer = client.subscribe(cache_name, topic)
    if not isinstance(answer, TopicSubscribe.Subscription):
        client.close()
        raise SubscriptionRefusedError(f"The subscription was refused: {getattr(answer, 'message', answer)}")
    threading.Thread(target=_read, args=(client, answer, on_notification), name="notifications", daemon=True).start()


def _read(
    client: TopicClient,
    subscription: TopicSubscribe.Subscription,
    on_notification: Callable[[ReceivedNotification], object],
) -> None:
    with client:
        for item in subscription:
            if isinstance(item, TopicSubscriptionItem.Text):
                on_notification(ReceivedNotification(item.value, time.monotonic()))


def credential_provider(token: str, endpoint: str | None = None) -> CredentialProvider:
    """Say where to connect, and as whom: a disposable token is base64 JSON of `endpoint` and `api_key`.

    :param endpoint: `http://host:port`, instead of the token's own.
    :raises InvalidTokenError: when it is something else. The message does not quote it.
    """
    try:
        fields = json.loads(base64.b64decode(token, validate=True))
        key, address = str(fields["api_key"]), str(fields["endpoint"])
        host, _, port = address.partition(":")
        number = int(port or TLS_PORT)
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise InvalidTokenError("The token service answered something that is no disposable token.") from None
    if endpoint is not None:
        url = urlsplit(endpoint)
        host, number = url.hostname or "", url.port or 80
    elif number == TLS_PORT:
        return CredentialProvider.from_disposable_token(token)
    return CredentialProvider(key, host, host, host, number)
