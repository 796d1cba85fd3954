"""Schemathesis sends valid and invalid requests to the running services; the contract describes every answer."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

import services.ingest.app
import services.ingest.settings
from k8s.contract_files import OPENAPI, REFERENCE
from local.page.api import forward_api
from services.common.lifecycle import Lifecycle
from services.token.history import read_marker
from services.token.tasks import cancel_view, task_canceller, task_reader
from tests.support.aws_session import SESSION
from tests.support.processes.ministack import ministack_process
from tests.support.processes.momento import momento_emulator_process
from tests.support.served_app import served_app
from tests.support.served_service import id_token, served_service
from tests.support.token_service import Backends, open_backends

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = "20"
MANY = "1000000"


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    with ministack_process() as aws, momento_emulator_process() as emulator:
        async with open_backends(aws, emulator) as backends:
            yield backends


@pytest.fixture
async def origin(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The URL of both services, whose limits do not end the test early."""
    for module, name in ((task_reader, "READS"), (task_canceller, "CANCELS"), (read_marker, "MOVES")):
        monkeypatch.setattr(module, f"{name}_PER_MINUTE", 0)
    monkeypatch.setattr(cancel_view, "MAX_OF_USER", cancel_view.MAX_OF_STAGE)
    unlimited = backends.service(
        HISTORY_READS_PER_MINUTE=MANY, HISTORY_OPERATIONS_PER_SECOND=MANY, TASK_OPERATIONS_PER_SECOND=MANY
    )
    async with unlimited as token, ingest(backends) as ingest_url:
        app = web.Application()
        forward_api(app, {"token": token.url, "ingest": ingest_url}, frozenset())
        async with served_app(app, Lifecycle()) as one_origin:
            yield one_origin.url


@asynccontextmanager
async def ingest(backends: Backends) -> AsyncIterator[str]:
    async with SESSION.create_client("sqs", **backends.aws.client_settings(backends.account_id)) as sqs:
        queue = await sqs.create_queue(QueueName="tasks")
    own = {"TASK_QUEUE_URL": queue["QueueUrl"], "TASKS_PER_MINUTE": "0"}
    read_settings, create_app = services.ingest.settings.read_settings, services.ingest.app.create_app
    async with served_service(
        read_settings, create_app, backends.aws, backends.account_id, backends.jwks, own
    ) as service:
        yield service.url


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_request_gets_an_answer_that_is_not_described(origin: str, tmp_path: Path) -> None:
    token = id_token(now=time.time())
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"),
        *(str(REFERENCE / OPENAPI), "--url", origin, "--header", f"Authorization: Bearer {token}"),
        *("--generation-deterministic", "--max-examples", EXAMPLES, "--continue-on-failure"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
