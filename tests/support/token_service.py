"""The token service in this process, with the Momento emulator, an emulated SSM and a real key set."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.token.app import create_app
from services.token.settings import read_settings
from tests.support.aws_session import SESSION
from tests.support.identity import JwksServer, jwks_server
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.processes.momento import MomentoApiKey, MomentoEmulator
from tests.support.served_app import Answer, Served
from tests.support.served_service import PAGE, id_token, served_service

if TYPE_CHECKING:
    from types_aiobotocore_ssm import SSMClient

PARAMETER = "/notification-api/test/momento-api-key"


@dataclass
class Backends:
    """The token service and its dependencies."""

    aws: MiniStack
    emulator: MomentoEmulator
    jwks: JwksServer
    sdk: MomentoSdk
    ssm: "SSMClient"
    key: MomentoApiKey
    account_id: str
    cache: str

    def service(self, *, ready: bool = True, **environment: str) -> AbstractAsyncContextManager[Served]:
        """Start the service with these additional settings."""
        own = {
            "MOMENTO_API_KEY_PARAM_NAME": PARAMETER,
            "MOMENTO_CACHE_NAME": self.cache,
            "MOMENTO_ENDPOINT": self.emulator.endpoint,
            **environment,
        }
        return served_service(read_settings, create_app, self.aws, self.account_id, self.jwks, own, ready=ready)

    async def store_key(self, value: str) -> None:
        await self.ssm.put_parameter(Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True)


@asynccontextmanager
async def open_backends(aws: MiniStack, emulator: MomentoEmulator) -> AsyncIterator[Backends]:
    """An account of the emulated AWS with the API key in SSM, a cache, and a key set."""
    account_id, key = new_account_id(), emulator.make_key()
    async with (
        jwks_server() as jwks,
        open_momento_sdk(emulator, emulator.make_key().v2) as sdk,
        SESSION.create_client("ssm", **aws.client_settings(account_id)) as ssm,
    ):
        backends = Backends(aws, emulator, jwks, sdk, ssm, key, account_id, await sdk.new_cache())
        await backends.store_key(key.v1)
        yield backends


async def ask(
    service: Served, method: str, path: str, user_id: str = "alice", *, json: Any = None, **headers: str
) -> Answer:
    """Send a request of a signed-in user from the page."""
    sent = {"Authorization": f"Bearer {id_token(user_id, now=time.time())}", "Origin": PAGE, **headers}
    return await service.ask(method, path, headers=sent, **({} if json is None else {"json": json}))


async def get(service: Served, path: str = "/token", user_id: str = "alice", **headers: str) -> Answer:
    """Send a GET request of a signed-in user from the page."""
    return await ask(service, "GET", path, user_id, **headers)
