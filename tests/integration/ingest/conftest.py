"""A queue on the emulated AWS, a fault proxy in front of it, and the ingest service that sends through the proxy."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from services.ingest.app import create_app
from services.ingest.settings import read_settings
from tests.support.aws_session import SESSION
from tests.support.identity import JwksServer, jwks_server
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.served_app import Served
from tests.support.served_service import StartIngest, served_service
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient


@pytest.fixture
async def jwks() -> AsyncIterator[JwksServer]:
    async with jwks_server() as server:
        yield server


@pytest.fixture
def account_id() -> str:
    return new_account_id()


@pytest.fixture
async def sqs(aws: MiniStack, account_id: str) -> AsyncIterator["SQSClient"]:
    async with SESSION.create_client("sqs", **aws.client_settings(account_id)) as client:
        yield client


@pytest.fixture
async def queue_url(sqs: "SQSClient") -> str:
    return (await sqs.create_queue(QueueName="tasks"))["QueueUrl"]


@pytest.fixture
async def proxy(aws: MiniStack) -> AsyncIterator[SqsFaultProxy]:
    async with sqs_fault_proxy(aws.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def start_ingest(
    aws: MiniStack, account_id: str, jwks: JwksServer, queue_url: str, proxy: SqsFaultProxy
) -> StartIngest:
    """Start the service with changed settings: `async with start_ingest(TASKS_PER_MINUTE="1") as service`."""

    def start(**environment: str) -> AbstractAsyncContextManager[Served]:
        own = {"TASK_QUEUE_URL": queue_url, "AWS_ENDPOINT_URL": proxy.url, **environment}
        return served_service(read_settings, create_app, aws, account_id, jwks, own)

    return start
