"""`python -m local.bootstrap --outputs FILE`: create the stage `local`, as the operator does in a cluster.

A one-shot: it waits for both emulators, creates a Momento API key and stores it in SSM, creates queues, user pool and
cache with `k8s.operator.resources`, and writes the outputs to FILE, which has no secrets. It can be repeated: what the
emulators have kept stays.
"""

import argparse
import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from momento import CacheClientAsync
from momento.config import Configurations
from momento.responses import ListCaches

from k8s.operator.resources.clients import open_clients
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageOutputs, StageSpec
from k8s.operator.resources.stage import provision_stage
from local.aws.guard import HEALTH_PATH
from local.outputs import Outputs
from local.supervisor.readiness import wait_until_ready
from notification_api import PermanentError, TransientError
from services.common.momento.api_key import credential_provider

CLUSTER = "laptop"
TIMEOUT_SECONDS = 25.0
"""For everything. Less than the supervisor's, so that the message names the reason."""
ADMIN_HEADERS = {"x-emulator-admin": "1"}


async def bootstrap(momento_endpoint: str, momento_admin_url: str) -> Outputs:
    """Create the stage and return its outputs."""
    identity = Identity(os.environ["SERVICE_NAME"], os.environ["STAGE_NAME"], CLUSTER, owner="local")
    parameter = f"/{identity.service_name}/{identity.stage_name}/momento-api-key"
    await asyncio.gather(
        wait_until_ready(f"{momento_admin_url}/_emulator/health"),
        wait_until_ready(f"{os.environ['AWS_ENDPOINT_URL']}{HEALTH_PATH}"),
    )
    session = get_session()  # shared, since each one loads AWS' endpoint data, which takes 0.1 s
    key = await valid_api_key(parameter, momento_endpoint, session)
    if key is None:
        key = await create_api_key(momento_admin_url)
        await store_api_key(parameter, key, session)
    stage = await create_local_stage(identity, key, momento_endpoint, session)
    return Outputs(
        queue_url=stage.queue_url,
        dead_letter_queue_url=stage.dead_letter_queue_url,
        user_pool_id=stage.user_pool_id,
        user_pool_client_id=stage.user_pool_client_id,
        cache_name=stage.cache_name,
        momento_api_key_param_name=parameter,
    )


async def valid_api_key(name: str, momento_endpoint: str, session: AioSession) -> str | None:
    """Return the API key of an earlier run, if both emulators have kept it."""
    async with session.create_client("ssm") as ssm:
        try:
            key = (await ssm.get_parameter(Name=name, WithDecryption=True))["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            return None
    credentials = credential_provider(key, momento_endpoint)
    async with CacheClientAsync(Configurations.Laptop.v1(), credentials, default_ttl=timedelta(hours=1)) as caches:
        return key if isinstance(await caches.list_caches(), ListCaches.Success) else None


async def create_api_key(admin_url: str) -> str:
    """Create a Momento API key, as a person does in Momento's console."""
    async with (
        aiohttp.ClientSession(headers=ADMIN_HEADERS, raise_for_status=True) as session,
        session.post(f"{admin_url}/_emulator/keys") as response,
    ):
        return str((await response.json())["v1"])


async def create_local_stage(identity: Identity, key: str, momento_endpoint: str, session: AioSession) -> StageOutputs:
    """Create the resources as the operator does, and print each change."""
    credentials = credential_provider(key, momento_endpoint)
    configuration = Configurations.Laptop.v1()
    log = ReconcileLog(identity)
    async with (
        CacheClientAsync(configuration, credentials, default_ttl=timedelta(hours=1)) as caches,
        open_clients(caches, session) as clients,
    ):
        try:
            return await provision_stage(clients, StageSpec(identity), log)
        finally:
            for change in [*log.changes, *log.notices]:
                info(change)


async def store_api_key(name: str, value: str, session: AioSession) -> None:
    """Store the API key in SSM, as a person does with the AWS CLI."""
    async with session.create_client("ssm") as ssm:
        await ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    info(f"stored the Momento API key as {name}")


def info(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the supervisor shows it


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.bootstrap")
    parser.add_argument("--outputs", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        outputs = asyncio.run(bootstrap_with_timeout())
    except (TimeoutError, TransientError, PermanentError, aiohttp.ClientError, BotoCoreError, ClientError) as error:
        info(f"The stage could not be created: {str(error) or f'not done within {TIMEOUT_SECONDS:g} s'}")
        return 1
    outputs.write(options.outputs)
    return 0


async def bootstrap_with_timeout() -> Outputs:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await bootstrap(os.environ["MOMENTO_ENDPOINT"], os.environ["MOMENTO_ADMIN_URL"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
