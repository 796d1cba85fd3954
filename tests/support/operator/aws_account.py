"""An empty AWS account and Momento for tests of a stage's resources. Every call is recorded."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobotocore.session import get_session

from k8s.operator.resources.clients import Clients, client_config
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.spec import StageSpec
from tests.support.fakes.calls import Calls
from tests.support.fakes.momento_caches import FakeCaches
from tests.support.processes.ministack import MiniStack, new_account_id

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient
    from types_aiobotocore_sqs import SQSClient

# One session for all tests: it keeps the parsed service models, which take longer to load than most tests to run.
_SESSION = get_session()


@dataclass(frozen=True)
class AwsAccount:
    """Calls of `clients` are recorded in `calls`; those of `sqs` and `idp`, for the test itself, are not."""

    clients: Clients
    caches: FakeCaches
    calls: Calls
    sqs: "SQSClient"
    idp: "CognitoIdentityProviderClient"

    async def queue_names(self) -> list[str]:
        urls = (await self.sqs.list_queues()).get("QueueUrls", [])
        return sorted(url.rpartition("/")[2] for url in urls)

    async def queue_tags(self, name: str) -> dict[str, str]:
        url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        return (await self.sqs.list_queue_tags(QueueUrl=url)).get("Tags", {})

    async def queue_attributes(self, name: str) -> dict[str, str]:
        url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        answer = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {str(key): value for key, value in answer["Attributes"].items()}

    async def user_pools(self, prefix: str = "") -> list[dict[str, Any]]:
        """Describe all user pools whose names start with the prefix, the oldest first."""
        listed = [pool async for page in self._pages("list_user_pools") for pool in page["UserPools"]]
        ids = [pool["Id"] for pool in listed if pool["Name"].startswith(prefix)]
        return [dict((await self.idp.describe_user_pool(UserPoolId=pool_id))["UserPool"]) for pool_id in ids]

    async def user_pool_clients(self, pool_id: str) -> list[dict[str, Any]]:
        """Describe all clients of a pool."""
        pages = self._pages("list_user_pool_clients", UserPoolId=pool_id)
        ids = [client["ClientId"] async for page in pages for client in page["UserPoolClients"]]
        described = [await self.idp.describe_user_pool_client(UserPoolId=pool_id, ClientId=i) for i in ids]
        return [dict(answer["UserPoolClient"]) for answer in described]

    async def _pages(self, operation: str, **arguments: str) -> AsyncIterator[Any]:
        call: Any = getattr(self.idp, operation)
        page = await call(MaxResults=60, **arguments)
        yield page
        while page.get("NextToken"):
            page = await call(MaxResults=60, NextToken=page["NextToken"], **arguments)
            yield page

    async def everything(self, prefix: str) -> dict[str, list[str]]:
        """Return the names of all resources that start with the prefix, including duplicates."""
        pools = await self.user_pools(prefix)
        clients = [client for pool in pools for client in await self.user_pool_clients(pool["Id"])]
        return {
            "queues": [name for name in await self.queue_names() if name.startswith(prefix)],
            "pools": [pool["Name"] for pool in pools],
            "clients": [client["ClientName"] for client in clients],
            "caches": sorted(name for name in self.caches.names if name.startswith(prefix)),
        }


def spec_of(service_name: str = "notification-api", stage_name: str = "dev", **changes: Any) -> StageSpec:
    """Return the spec of a stage of this cluster."""
    return StageSpec(Identity(service_name, stage_name, cluster="test-cluster", owner="dev/stage"), **changes)


@asynccontextmanager
async def open_aws_account(aws: MiniStack) -> AsyncIterator[AwsAccount]:
    """Open a new account in a running MiniStack, without caches."""
    settings, calls, caches = aws.client_settings(new_account_id()), Calls(), FakeCaches()
    config = client_config()
    caches.after_call = calls.record
    async with AsyncExitStack() as opened:
        sqs = await opened.enter_async_context(_SESSION.create_client("sqs", config=config, **settings))
        idp = await opened.enter_async_context(_SESSION.create_client("cognito-idp", config=config, **settings))
        other_sqs = await opened.enter_async_context(_SESSION.create_client("sqs", **settings))
        other_idp = await opened.enter_async_context(_SESSION.create_client("cognito-idp", **settings))
        for client in (sqs, idp):
            client.meta.events.register("after-call", lambda model, **_: calls.record(model.name))
        yield AwsAccount(Clients(sqs, idp, caches), caches, calls, other_sqs, other_idp)
