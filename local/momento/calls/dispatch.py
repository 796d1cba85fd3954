"""The calls behind both fronts: faults, authentication, dispatch, statistics."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager

from google.protobuf.message import Message
from grpc import StatusCode
from momento_wire_types import cachepubsub_pb2 as pubsub_pb

from local.momento.calls.cache import CacheGate, DictionaryCalls, ValueCalls
from local.momento.calls.call import Caller, Method
from local.momento.calls.control import ControlCalls
from local.momento.calls.tokens import TokenCalls
from local.momento.calls.topics import SUBSCRIBE_PATH, TopicCalls
from local.momento.credentials import Credential, Credentials
from local.momento.errors import CallError, unauthenticated
from local.momento.faults import Faults
from local.momento.settings import Settings
from local.momento.stats import Stats
from local.momento.store.caches import Caches
from local.momento.store.item_file import ItemFile
from local.momento.store.persistence import State
from local.momento.store.subscription import Subscription

SUBSCRIBE = SUBSCRIBE_PATH.rpartition("/")[2]


class Service:
    """Everything that a client can call, through either front."""

    def __init__(self, state: State, item_file: ItemFile | None = None) -> None:
        self.settings = Settings()
        self.credentials = Credentials(self.settings, state)
        self.caches = Caches(self.settings, state, item_file)
        self.faults = Faults()
        self.stats = Stats()
        self._topics = TopicCalls(self.settings, self.caches, self.stats)
        gate = CacheGate(self.settings, self.caches)
        methods = [
            *TokenCalls(self.settings, self.credentials, self.stats).methods(),
            *ControlCalls(self.settings, self.caches).methods(),
            *self._topics.methods(),
            *ValueCalls(gate).methods(),
            *DictionaryCalls(gate).methods(),
        ]
        self.methods = {method.path: method for method in methods}
        self.method_names = frozenset({SUBSCRIBE, *(method.name for method in methods)})

    async def call(self, method: Method, request: Message, caller: Caller) -> Message:
        """Run a unary call; raises `CallError`."""
        with self._count_call(method.name):
            self._refuse_when_down()
            await self.faults.apply(method.name)
            credential = self.credentials.authenticate(caller.token) if method.authenticated else None
            response = method.run(request, credential, caller.cache)
            await self.faults.apply(method.name, after_effect=True)
        return response

    async def subscribe(
        self, request: pubsub_pb._SubscriptionRequest, caller: Caller
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield the events of a subscription, all that are waiting at a time; raises the `CallError` it ends with.

        Close the iterator (`contextlib.aclosing`) when the client disconnects: that ends the subscription.
        """
        with ExitStack() as stack:
            with self._count_call(SUBSCRIBE):
                self._refuse_when_down()
                await self.faults.apply(SUBSCRIBE)
                credential = self.credentials.authenticate(caller.token)
                subscription = stack.enter_context(self._topics.subscription(request, credential))
            stack.enter_context(self._end_at_expiry(subscription, credential))
            async for batch in subscription.batches():
                yield batch

    @contextmanager
    def _count_call(self, method: str) -> Iterator[None]:
        status = StatusCode.UNKNOWN
        try:
            yield
            status = StatusCode.OK
        except CallError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = StatusCode.CANCELLED
            raise
        finally:
            self.stats.count_call(method, status.name)

    def _refuse_when_down(self) -> None:
        if self.settings.down:
            raise CallError(StatusCode.UNAVAILABLE, "The emulator is configured to be down")

    @contextmanager
    def _end_at_expiry(self, subscription: Subscription, credential: Credential) -> Iterator[None]:
        if credential.expires_at is None:
            yield
            return
        seconds = credential.expires_at - time.time()
        timer = asyncio.get_running_loop().call_later(seconds, self._expire, subscription)
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self, subscription: Subscription) -> None:
        if self.settings.end_streams_at_expiry:
            subscription.end(unauthenticated("The token has expired"))
