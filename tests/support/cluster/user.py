"""People who use a stage of the cluster."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from local.demo.api import Access, Api, api
from local.demo.config import ClientConfig
from local.demo.identity import Credentials, fresh_credentials, identity
from local.environment import shielded
from local.plan import ROOT
from tests.support.cluster.stages import World


@dataclass(frozen=True)
class User:
    """Somebody who has signed up, confirmed and signed in."""

    credentials: Credentials
    config: ClientConfig
    id_token: str


@asynccontextmanager
async def client(world: World) -> AsyncIterator[Api]:
    async with api(world.page_url) as calls:
        yield calls


async def signed_in(calls: Api, config: ClientConfig) -> User:
    """A new user of the pool that `config` names."""
    credentials = fresh_credentials()
    async with identity(config) as cognito:
        await cognito.sign_up(credentials)
        await cognito.confirm(credentials, await calls.mailed_code(credentials.email))
        return User(credentials, config, await cognito.sign_in(credentials))


def subscription_refusal(access: Access) -> str:
    """What Momento's own SDK says to a subscription, in a process of its own; empty where it succeeds."""
    code = (
        "import json, sys; from local.demo.api import Access; from local.demo.news import listen\n"
        "from local.demo.errors import DemoError; import os\n"
        "try: listen(Access(*json.load(sys.stdin)), print); answer = ''\n"
        "except DemoError as error: answer = str(error)\n"
        "print(answer, flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=shielded(os.environ),
        input=json.dumps([access.token, access.cache_name, access.topic]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip() or done.stderr.strip()


async def status_of(url: str, id_token: str) -> int:
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"Authorization": f"Bearer {id_token}", "Connection": "close"}
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, headers=headers) as answer:
        return answer.status
