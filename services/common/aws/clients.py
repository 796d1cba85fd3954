"""AWS clients from one session per process, since each session loads the SDK's endpoint data (6 MB) again.

Clients are created once, at start: creating one blocks the event loop for 70 to 220 ms. The SDK finds region,
credentials and endpoint by itself (environment, IRSA, Pod Identity).
"""

import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, NoRegionError
from botocore.loaders import JSONFileLoader, Loader

from services.common.settings import SettingsError
from services.common.version import VERSION

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_ssm import SSMClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

USER_AGENT = f"notification-api/{VERSION} aiobotocore/{aiobotocore.__version__}"
"""With a fixed value the SDK need not compose it for every call, which takes an eighth of the call's CPU time."""

_SSM_CONFIG = AioConfig(
    user_agent=USER_AGENT,
    connect_timeout=CONNECT_SECONDS,
    read_timeout=3,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=2,
)


SERVICES = {"sqs", "cognito-idp", "ssm", "sts"}
"""The services whose endpoint data is kept. The SDK itself calls STS to assume a role by IRSA; endpoints of other
services follow the general pattern."""
_READERS: dict[str, Callable[[Path], bytes]] = {
    ".json": Path.read_bytes,
    ".json.gz": lambda path: gzip.decompress(path.read_bytes()),
}


def aws_session() -> AioSession:
    """Return a new session that uses 9 MB less memory than the SDK's own. Share it: each one loads all endpoints."""
    session = get_session()
    session.register_component("data_loader", Loader(file_loader=_LeanLoader()))
    return session


class _LeanLoader(JSONFileLoader):
    """Leaves out the documentation of every field and the endpoints of 300 other services."""

    def load_file(self, file_path: str) -> dict[str, Any] | None:
        """Load a file of the SDK; `file_path` has no suffix. Return None if it does not exist."""
        for suffix, read in _READERS.items():
            path = Path(file_path + suffix)
            if path.is_file():
                data: dict[str, Any] = json.loads(read(path), object_hook=_without_documentation)
                return _without_other_services(data) if path.name == "endpoints.json" else data
        return None


def _without_documentation(part: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part.get("documentation"), str):  # else it is a field of that name
        del part["documentation"]
    return part


def _without_other_services(endpoints: dict[str, Any]) -> dict[str, Any]:
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in SERVICES}
    return endpoints


@cache
def _session() -> AioSession:
    return aws_session()


async def credentials_problem() -> str | None:
    """Return None if the SDK has found credentials, else what to do.

    A client that was created without credentials never gets any, so the result is valid for the life of the process.
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

    :param wait_seconds: the longest long poll, which is added to the read timeout.
    :param max_connections: for calls at the same time.
    """
    config = AioConfig(
        user_agent=USER_AGENT,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=wait_seconds + READ_SECONDS,
        max_pool_connections=max_connections,
        # `Batcher` retries: retries in two layers multiply, and batches need one that reads `Failed`.
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
        # SQS validates parameters itself; the SDK's validation takes a seventh of a call's CPU time.
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
        except ValueError as error:  # an endpoint that the SDK cannot use
            name = "AWS_ENDPOINT_URL" if str(error).startswith("Invalid endpoint") else "AWS_*"
            raise SettingsError({name: [str(error)]}) from None
        except BotoCoreError as error:  # such as an unknown profile, mode or configuration file
            raise SettingsError({"AWS_*": [str(error)]}) from None
        yield client
