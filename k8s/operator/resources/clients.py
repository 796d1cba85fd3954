"""The AWS and Momento clients that a stage's resources are managed with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import ListCachesResponse

from services.common.aws.clients import USER_AGENT

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient
    from types_aiobotocore_sqs import SQSClient


class CacheControl(Protocol):
    """The methods of `momento.CacheClientAsync` that are used."""

    async def list_caches(self) -> ListCachesResponse: ...

    async def create_cache(self, cache_name: str) -> CreateCacheResponse: ...

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse: ...


@dataclass(frozen=True)
class Clients:
    """Open clients. The caller of `open_clients` closes them."""

    sqs: "SQSClient"
    idp: "CognitoIdentityProviderClient"
    caches: CacheControl


def client_config() -> AioConfig:
    """For every AWS client of the operator: 3 s to connect, 8 s to read an answer, three attempts in all."""
    return AioConfig(
        user_agent=USER_AGENT,
        connect_timeout=3,
        read_timeout=8,
        retries={"mode": "standard", "total_max_attempts": 3},
    )


@asynccontextmanager
async def open_clients(caches: CacheControl, session: AioSession | None = None) -> AsyncIterator[Clients]:
    """Open AWS clients, with the SDK's own credentials, region and endpoint. The caller closes `caches`."""
    aws = session or get_session()
    async with (
        aws.create_client("sqs", config=client_config()) as sqs,
        aws.create_client("cognito-idp", config=client_config()) as idp,
    ):
        yield Clients(sqs, idp, caches)
