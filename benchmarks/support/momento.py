"""Momento for a benchmark: the emulator, and a parameter store with its API key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from momento import CacheClientAsync, Configurations, CredentialProvider

from benchmarks.support.child import running
from tests.support.processes.child import plain_python

_READY = r"ready: gRPC 127\.0\.0\.1:(\d+), gRPC-web (http://[\d.:]+)\n"
_UNLIMITED = ("--topic-operations-per-second=1000000", "--cache-operations-per-second=1000000")
_CACHE = "benchmark"
_PARAMETER = "/notification-api/benchmark/momento-api-key"


@dataclass(frozen=True, slots=True)
class Momento:
    """A running emulator whose key is in the parameter store."""

    grpc_port: int
    parameter_store: str

    def environment(self) -> dict[str, str]:
        return {
            "MOMENTO_CACHE_NAME": _CACHE,
            "MOMENTO_ENDPOINT": f"http://127.0.0.1:{self.grpc_port}",
            "MOMENTO_API_KEY_PARAM_NAME": _PARAMETER,
            "AWS_ENDPOINT_URL_SSM": self.parameter_store,
        }


@asynccontextmanager
async def momento(folder: Path) -> AsyncIterator[Momento]:
    """Run the emulator with a cache and quotas that are never reached."""
    command = plain_python("local.momento", "--grpc-port=0", "--web-port=0", *_UNLIMITED)
    async with running(command, {}, folder / "momento.log") as child:
        ready = await asyncio.to_thread(child.wait_for_output, _READY)
        key = await _api_key(ready[2])
        await _create_cache(key, int(ready[1]))
        async with _parameter_store(key) as store:
            yield Momento(int(ready[1]), store)


async def _api_key(web_url: str) -> str:
    headers = {"x-emulator-admin": "1"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{web_url}/_emulator/keys") as answer,
    ):
        return str((await answer.json())["v2"])


async def _create_cache(key: str, port: int) -> None:
    credentials = CredentialProvider(key, "127.0.0.1", "127.0.0.1", "127.0.0.1", port)
    client = await CacheClientAsync.create(Configurations.Laptop.v1(), credentials, timedelta(minutes=1))
    async with client:
        await client.create_cache(_CACHE)


@asynccontextmanager
async def _parameter_store(value: str) -> AsyncIterator[str]:
    """Answer every GetParameter with `value`."""

    async def answer(_: web.Request) -> web.Response:
        parameter = {"Parameter": {"Name": _PARAMETER, "Type": "SecureString", "Value": value}}
        return web.json_response(parameter, content_type="application/x-amz-json-1.1")

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
