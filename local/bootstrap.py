"""`python -m local.bootstrap --outputs FILE`: make the stage `local`, as the operator makes one in a cluster.

A one-shot: it waits for both emulators, makes an API key as a person would in Momento's console, lets
`k8s.operator.resources` make queues, user pool and cache, puts the key where the services look for it, and
writes what they need to know to FILE. Nothing of it is a secret; the key itself is only ever in SSM.
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

from k8s.operator.resources.clients import open_clients
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageOutputs, StageSpec
from k8s.operator.resources.stage import provision_stage
from local.aws.guard import HEALTH_PATH
from local.outputs import Outputs
from local.supervisor.probe import until_ready
from services.common.errors import PermanentError, Transient
from services.common.momento.api_key import credential_provider

CLUSTER = "laptop"
DEADLINE_SECONDS = 25.0
"""For everything; below the supervisor's own deadline, so that the reason is told and not only the delay."""
ADMIN_HEADERS = {"x-emulator-admin": "1"}


async def bootstrap(momento_endpoint: str, momento_admin_url: str) -> Outputs:
    """Make everything and say what it is called."""
    identity = Identity(os.environ["SERVICE_NAME"], os.environ["STAGE_NAME"], CLUSTER, owner="local")
    parameter = f"/{identity.service_name}/{identity.stage_name}/momento-api-key"
    await asyncio.gather(
        until_ready(f"{momento_admin_url}/_emulator/health"),
        until_ready(f"{os.environ['AWS_ENDPOINT_URL']}{HEALTH_PATH}"),
    )
    key = await make_api_key(momento_admin_url)
    session = get_session()  # one for all: each loads AWS' endpoint data anew, a tenth of a second
    stage, _ = await asyncio.gather(
        make_local_stage(identity, key, momento_endpoint, session), put_secret(parameter, key, session)
    )
    return Outputs(
        queue_url=stage.queue_url,
        dead_letter_queue_url=stage.dead_letter_queue_url,
        user_pool_id=stage.user_pool_id,
        user_pool_client_id=stage.user_pool_client_id,
        cache_name=stage.cache_name,
        momento_api_key_param_name=parameter,
    )


async def make_api_key(admin_url: str) -> str:
    """What a person does once in Momento's console."""
    async with (
        aiohttp.ClientSession(headers=ADMIN_HEADERS, raise_for_status=True) as session,
        session.post(f"{admin_url}/_emulator/keys") as response,
    ):
        return str((await response.json())["v1"])


async def make_local_stage(identity: Identity, key: str, momento_endpoint: str, session: AioSession) -> StageOutputs:
    """The same pass that the operator makes, each change of it a line of output."""
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
                say(change)


async def put_secret(name: str, value: str, session: AioSession) -> None:
    """What a person does once with the AWS CLI."""
    async with session.create_client("ssm") as ssm:
        await ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    say(f"stored the Momento API key as {name}")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the supervisor shows it


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.bootstrap")
    parser.add_argument("--outputs", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        outputs = asyncio.run(within_deadline())
    except (TimeoutError, Transient, PermanentError, aiohttp.ClientError, BotoCoreError, ClientError) as error:
        say(f"The stage could not be made: {str(error) or f'not done within {DEADLINE_SECONDS:g} s'}")
        return 1
    outputs.write(options.outputs)
    return 0


async def within_deadline() -> Outputs:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await bootstrap(os.environ["MOMENTO_ENDPOINT"], os.environ["MOMENTO_ADMIN_URL"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
