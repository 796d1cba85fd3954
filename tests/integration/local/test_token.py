"""`make token`, and the command of the README that uses it."""

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from local.demo.sign_up import application, random_credentials
from local.plan import ROOT
from notification_api.client import Credentials, sign_up
from tests.support.ports import free_port_base
from tests.support.processes.local_stack import LocalStack

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]  # the first test also starts the stack

POST_TASK = (
    'curl -sS -w "%{http_code}" -H "Authorization: Bearer $(make -s token)" '
    "-d '{\"data\":\"hello\"}' -H 'Content-Type: application/json' localhost:8080/task"
)
"""As in the README, with the status."""


@pytest.fixture
async def credentials(local_stack: LocalStack) -> AsyncIterator[Path]:
    """The file of this stack's user, in this repository, as `make up` writes it. The user is deleted at the end."""
    folder = ROOT / ".local" / str(local_stack.ports.base)
    yield folder / "developer.json"
    await forget_user(local_stack)
    shutil.rmtree(folder, ignore_errors=True)


async def users(stack: LocalStack) -> list[str]:
    async with get_session().create_client("cognito-idp", **stack.aws_client()) as cognito:
        listed = await cognito.list_users(UserPoolId=stack.outputs.user_pool_id)
    return [
        user["Username"]
        for user in listed["Users"]
        if {"Name": "email", "Value": "dev@example.com"} in user["Attributes"]
    ]


async def forget_user(stack: LocalStack) -> None:
    async with get_session().create_client("cognito-idp", **stack.aws_client()) as cognito:
        for name in await users(stack):
            await cognito.admin_delete_user(UserPoolId=stack.outputs.user_pool_id, Username=name)


async def run(base: int, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of a developer's shell."""
    environment = {**os.environ, "LOCAL_PORT_BASE": str(base), "MAKEFLAGS": "-o .venv/.local-ready"}  # install nothing
    return await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def stored(credentials: Path) -> dict[str, str]:
    fields: dict[str, str] = json.loads(credentials.read_text())
    return fields


def store(credentials: Path, fields: dict[str, str]) -> None:
    credentials.parent.mkdir(parents=True, exist_ok=True)
    credentials.write_text(json.dumps(fields))


async def test_the_command_of_the_readme_posts_a_task(local_stack: LocalStack, credentials: Path) -> None:
    base = local_stack.ports.base
    ran = await run(base, POST_TASK.replace("8080", str(base)))
    assert ran.stderr == ""
    assert re.fullmatch(r'\{"taskId":"[\w-]+"\}202', ran.stdout)


async def test_it_prints_the_token_of_one_user_and_keeps_the_password_private(
    local_stack: LocalStack, credentials: Path
) -> None:
    first, second = [await run(local_stack.ports.base, "make -s token") for _ in range(2)]
    for ran in (first, second):
        assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", ran.stdout), ran.stderr
        assert stored(credentials)["password"] not in ran.stdout + ran.stderr
    assert mode(credentials) == 0o600
    assert len(await users(local_stack)) == 1


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


async def test_two_calls_at_the_same_time_sign_up_once(local_stack: LocalStack, credentials: Path) -> None:
    both = await asyncio.gather(*(run(local_stack.ports.base, "make -s token") for _ in range(2)))
    assert [(ran.returncode, ran.stderr) for ran in both] == [(0, "")] * 2


async def test_it_signs_up_again_where_the_user_is_gone(local_stack: LocalStack, credentials: Path) -> None:
    assert (await run(local_stack.ports.base, "make -s token")).returncode == 0
    await forget_user(local_stack)
    again = await run(local_stack.ports.base, "make -s token")
    assert (again.returncode, again.stderr) == (0, "")
    assert len(await users(local_stack)) == 1


async def test_an_interrupted_sign_up_is_continued_after_its_mail_is_lost(
    local_stack: LocalStack, credentials: Path
) -> None:
    user = Credentials(email="dev@example.com", password=random_credentials().password)
    async with application(f"http://localhost:{local_stack.ports.page}") as app:
        await sign_up(app.http, await app.config(), user)
    store(credentials, {"userPoolId": local_stack.outputs.user_pool_id, "password": user.password})
    await asyncio.to_thread(local_stack.restart, "aws")
    continued = await run(local_stack.ports.base, "make -s token")
    assert (continued.returncode, continued.stderr) == (0, "")
    assert len(await users(local_stack)) == 1


async def test_it_signs_up_again_in_another_user_pool(local_stack: LocalStack, credentials: Path) -> None:
    assert (await run(local_stack.ports.base, "make -s token")).returncode == 0
    await forget_user(local_stack)
    before = stored(credentials)
    store(credentials, {**before, "userPoolId": "us-east-1_gone"})
    assert (await run(local_stack.ports.base, "make -s token")).returncode == 0
    assert stored(credentials)["password"] != before["password"]
    assert stored(credentials)["userPoolId"] == local_stack.outputs.user_pool_id


async def test_a_user_whose_password_is_unknown_is_reported(local_stack: LocalStack, credentials: Path) -> None:
    assert (await run(local_stack.ports.base, "make -s token")).returncode == 0
    store(credentials, {})
    lost = await run(local_stack.ports.base, "make -s token")
    assert (lost.returncode, lost.stdout) == (2, "")  # make's status for any failure
    assert "make clean-state" in lost.stderr


async def test_without_a_stack_it_says_how_to_start_one() -> None:
    base = free_port_base()
    ran = await run(base, "make -s token")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"Nothing answers at http://localhost:{base}: start it with `make up`." in ran.stderr
