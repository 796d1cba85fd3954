"""Running a service, as a process: its start, its signals, its drain and its exit status."""

import asyncio
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from local.supervisor.port_check import is_taken
from services.common.web.listener import MAX_FILES
from tests.support.ports import free_port
from tests.support.processes.service import ServiceProcess, service_process

Start = Callable[..., AbstractAsyncContextManager[ServiceProcess]]
SMALL = "tests.support.processes.small_service_program"
COMPLETE = {
    "OIDC_ISSUER": "https://issuer.example",
    "OIDC_AUDIENCE": "client",
    "OIDC_JWKS_URL": "http://127.0.0.1:9/jwks.json",
    "TASK_QUEUE_URL": "http://127.0.0.1:9/queue",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
}


@pytest.fixture
def started(tmp_path: Path) -> Start:
    """Run the small service with these settings; it has started when this returns."""

    @asynccontextmanager
    async def start(**environment: str) -> AsyncIterator[ServiceProcess]:
        async with service_process(SMALL, environment, tmp_path, ready=False) as service:
            await asyncio.to_thread(service.wait_for_output, '"started"')
            yield service

    return start


async def answer(url: str, method: str = "GET") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.text()


async def test_a_service_starts_serves_and_ends_with_status_0_on_sigterm(started: Start) -> None:
    async with started() as service:
        assert await answer(service.ops_url + "/readyz") == (200, '{"ready":true,"reasons":{}}')
        assert (await answer(service.url + "/slow"))[1] == "slept"
        service.signal()
        assert await asyncio.to_thread(service.ended) == 0
        actions = [line.get("action") for line in service.lines()]
    assert actions == ["start", "request", "stop", "clean", "stop"]


async def test_it_raises_its_soft_limit_of_open_files(started: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # inherited by the process
    try:
        async with started() as service:
            raised, _ = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
            assert raised == (min(hard, MAX_FILES) if hard > 0 else MAX_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_readiness_names_what_is_missing(started: Start) -> None:
    async with started(LACKS="no part today") as service:
        assert await answer(service.ops_url + "/readyz") == (
            503,
            '{"ready":false,"reasons":{"part":"no part today"}}',
        )
        assert (await answer(service.ops_url + "/livez"))[0] == 200


async def test_readiness_drops_before_the_listener_closes(started: Start) -> None:
    async with started(SHUTDOWN_DELAY_SECONDS="1") as service:
        service.signal()
        await asyncio.to_thread(service.wait_for_output, "draining")
        status, body = await answer(service.ops_url + "/readyz")
        assert status == 503
        assert "draining" in body
        assert (await answer(service.ops_url + "/livez"))[0] == 200
        assert service.listens()  # load balancers have not noticed it yet and still send requests
        assert await asyncio.to_thread(service.ended) == 0


async def test_a_second_signal_does_not_wait_for_load_balancers(started: Start) -> None:
    async with started(SHUTDOWN_DELAY_SECONDS="60") as service:
        service.signal()
        await asyncio.to_thread(service.wait_for_output, "draining")
        began = time.monotonic()
        service.signal()
        assert await asyncio.to_thread(service.ended) == 0
    assert time.monotonic() - began < 10


async def test_a_request_in_progress_is_answered_before_the_end(started: Start) -> None:
    async with started() as service:
        asking = asyncio.create_task(answer(service.url + "/slow"))
        await asyncio.sleep(0.2)  # well within the request's half second
        service.signal(signal.SIGINT)
        assert await asking == (200, "slept")
        assert await asyncio.to_thread(service.ended) == 0


async def test_a_failed_background_task_ends_it_with_status_1(started: Start) -> None:
    async with started() as service:
        assert (await answer(service.url + "/fail", "POST"))[0] == 200
        assert await asyncio.to_thread(service.ended) == 1
        (line,) = [line for line in service.lines() if line["level"] == "CRITICAL"]
    assert line["task"] == "worker"
    assert "the task failed" in line["exception"]


@pytest.mark.parametrize("way", ["exit", "stop", "cancel"])
async def test_a_process_whose_event_loop_foreign_code_ends_has_no_cleanup(started: Start, way: str) -> None:
    """The cleanup of a cancelled task would report a wrong end of the process."""
    async with started() as service:
        with suppress(aiohttp.ClientError):
            await answer(f"{service.url}/{way}", "POST")
        assert await asyncio.to_thread(service.ended) == 1
        actions = [line.get("action") for line in service.lines() if line["level"] == "CRITICAL"]
    assert actions == ["stop"]
    assert "cleaned up" not in service.output()


@pytest.mark.parametrize("taken", ["PORT", "OPS_PORT"])
async def test_a_port_in_use_is_reported_without_a_traceback(tmp_path: Path, taken: str) -> None:
    blocked = free_port()
    blocker = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", blocked)
    async with blocker, service_process(SMALL, {taken: str(blocked)}, tmp_path, ready=False) as service:
        assert await asyncio.to_thread(service.ended) == 1
        (line,) = [line for line in service.lines() if line["level"] == "CRITICAL"]
    assert str(blocked) in line["message"]
    assert f"set {taken}" in line["message"]
    assert "Traceback" not in service.output()


@pytest.mark.parametrize("host", ["203.0.113.1", "a..b", "a" * 64])  # the first is a documentation address (RFC 5737)
async def test_an_address_of_another_machine_is_reported_without_a_traceback(tmp_path: Path, host: str) -> None:
    async with service_process(SMALL, {"HOST": host}, tmp_path, ready=False) as service:
        assert await asyncio.to_thread(service.ended) == 1
    assert "HOST" in service.output()
    assert "Traceback" not in service.output()


@pytest.mark.parametrize(
    ("environment", "setting"),
    [
        ({}, "AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "no url"}, "AWS_ENDPOINT_URL"),
        ({"AWS_DEFAULT_REGION": "us-east-1", "AWS_DEFAULTS_MODE": "nope"}, "AWS_*"),
    ],
)
async def test_a_missing_sdk_setting_is_reported_like_other_settings(
    tmp_path: Path, environment: dict[str, str], setting: str
) -> None:
    async with service_process("services.ingest", {**COMPLETE, **environment}, tmp_path, ready=False) as service:
        assert await asyncio.to_thread(service.ended) == 2
    assert f"  {setting}: " in service.output()
    assert "Traceback" not in service.output()


async def test_without_key_set_and_queue_it_starts_and_reports_what_is_missing(tmp_path: Path) -> None:
    async with service_process(
        "services.ingest", {**COMPLETE, "AWS_DEFAULT_REGION": "us-east-1"}, tmp_path, ready=False
    ) as service:
        await asyncio.to_thread(service.wait_for_output, '"started"')
        status, body = await answer(service.ops_url + "/readyz")
        assert status == 503
        assert "No signing keys from http://127.0.0.1:9/jwks.json" in body
        service.signal()
        assert await asyncio.to_thread(service.ended) == 0
    assert not is_taken(service.port)
