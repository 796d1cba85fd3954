"""The clients through which a stage's resources are reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiobotocore.session import AioSession, get_session

from k8s.operator.resources.aws import client_config
from k8s.operator.resources.cache import CacheControl

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient
    from types_aiobotocore_sqs import SQSClient


@dataclass(frozen=True)
class Clients:
    """Open clients; whoever opened them closes them. `caches` is a `momento.CacheClientAsync` or alike."""

    sqs: "SQSClient"
    idp: "CognitoIdentityProviderClient"
    caches: CacheControl


@asynccontextmanager
async def open_clients(caches: CacheControl, session: AioSession | None = None) -> AsyncIterator[Clients]:
    """AWS clients, with credentials, region and endpoint found the SDK's own way; `caches` stays the caller's."""
    aws = session or get_session()
    async with (
        aws.create_client("sqs", config=client_config()) as sqs,
        aws.create_client("cognito-idp", config=client_config()) as idp,
    ):
        yield Clients(sqs, idp, caches)
