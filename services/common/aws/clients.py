"""AWS clients: one session a process, since each session loads the SDK's endpoint data (6 MB) anew.

Every client is made once, at start: making one costs 70 to 220 ms of blocked loop. Region, credentials and endpoint
come the SDK's own way (environment, IRSA, Pod Identity).
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, NoRegionError

from services.common.aws.session import aws_session
from services.common.settings import SettingsError
from services.common.version import VERSION

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_ssm import SSMClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

USER_AGENT = f"notification-api/{VERSION} aiobotocore/{aiobotocore.__version__}"
"""Without a name of our own the SDK composes its user agent anew for every call, an eighth of the call's CPU time."""

_SSM_CONFIG = AioConfig(
    user_agent=USER_AGENT,
    connect_timeout=CONNECT_SECONDS,
    read_timeout=3,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=2,
)


@cache
def _session() -> AioSession:
    return aws_session()


async def missing_credentials() -> str | None:
    """None where the SDK has found credentials, else a sentence that says what to do.

    A client that was made without any never gets them, so the answer holds for the life of the process.
    """
    if await _session().get_credentials():
        return None
    return "NoCredentialsError (give the pod a role by IRSA or Pod Identity, or set AWS_ACCESS_KEY_ID)"


@asynccontextmanager
async def ssm_client() -> AsyncIterator["SSMClient"]:
    """Open a client for the parameter store."""
    async with _client("ssm", _SSM_CONFIG) as client:
        yield client


@asynccontextmanager
async def sqs_client(*, wait_seconds: float = 0.0, max_connections: int = 20) -> AsyncIterator["SQSClient"]:
    """Open a client for queues.

    :param wait_seconds: the longest long poll, which must not run into the read deadline.
    :param max_connections: calls at the same time.
    """
    config = AioConfig(
        user_agent=USER_AGENT,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=wait_seconds + READ_SECONDS,
        max_pool_connections=max_connections,
        # Ours is the only retry: two layers of them multiply, and SQS batches need one that looks into `Failed`.
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
        # SQS validates by itself, and what we send is typed: the SDK's own look at every entry is a seventh of a call.
        parameter_validation=False,
    )
    async with _client("sqs", config) as client:
        yield client


@asynccontextmanager
async def _client(service: Literal["sqs", "ssm"], config: AioConfig) -> AsyncIterator[Any]:
    """Open a client.

    :raises SettingsError: when the SDK's own settings are missing or malformed.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(_session().create_client(service, config=config))
        except NoRegionError:
            raise SettingsError({"AWS_DEFAULT_REGION": ["must name a region, like us-east-1"]}) from None
        except ValueError as error:  # the SDK's word for an address that it cannot use
            name = "AWS_ENDPOINT_URL" if str(error).startswith("Invalid endpoint") else "AWS_*"
            raise SettingsError({name: [str(error)]}) from None
        except BotoCoreError as error:  # such as a profile, a mode or a configuration file that it does not know
            raise SettingsError({"AWS_*": [str(error)]}) from None
        yield client
