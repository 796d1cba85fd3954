"""The smoke test against the real services of this machine."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.demo.sign_up import application, confirmed_user
from local.plan import ROOT
from tests.support.processes.local_stack import LocalStack


async def smoke(stack: LocalStack, **variables: str) -> tuple[int, str]:
    ports, outputs = stack.ports, stack.outputs
    environment = {
        "PATH": os.environ["PATH"],
        "TOKEN_URL": f"http://127.0.0.1:{ports.token}",
        "TASK_URL": f"http://127.0.0.1:{ports.ingest}",
        "AWS_ENDPOINT_URL": stack.aws_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "MOMENTO_ENDPOINT": f"http://127.0.0.1:{ports.momento_grpc}",
        "USER_POOL_ID": outputs.user_pool_id,
        "OIDC_AUDIENCE": outputs.user_pool_client_id,
        "TIMEOUT_SECONDS": "20",
        **variables,
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "k8s.smoke"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
    )
    return done.returncode, done.stdout


@pytest.fixture
async def user(local_stack: LocalStack, tmp_path: Path) -> Path:
    """The files of a Secret with a confirmed user."""
    async with application(local_stack.page_url) as app:
        credentials = await confirmed_user(app, await app.config())
    (tmp_path / "email").write_text(credentials.email)
    (tmp_path / "password").write_text(credentials.password)
    return tmp_path


async def test_it_signs_in_submits_a_task_is_notified_and_reads_its_status(local_stack: LocalStack, user: Path) -> None:
    status, output = await smoke(local_stack, USER_FOLDER=str(user))
    assert status == 0, output
    assert [line.split(":")[0].split(" ")[0] for line in output.splitlines()][3:] == [
        "signed",
        "subscribed",
        "submitted",
        "notified",
        "followed",
        "all",
    ]


async def test_a_wrong_password_fails_it(local_stack: LocalStack, user: Path) -> None:
    (user / "password").write_text("Wrong-password-1")
    status, output = await smoke(local_stack, USER_FOLDER=str(user))
    assert status == 1
    assert "NotAuthorizedException" in output


async def test_a_dead_processor_fails_it(local_stack: LocalStack, user: Path) -> None:
    local_stack.stop("processor")
    try:
        status, output = await smoke(local_stack, USER_FOLDER=str(user), TIMEOUT_SECONDS="4")
    finally:
        local_stack.start("processor")
    assert status == 1
    assert "whether the processor is ready" in output


async def test_without_a_user_only_reachability_is_checked(local_stack: LocalStack) -> None:
    status, output = await smoke(local_stack)
    assert status == 0
    assert "no task was submitted" in output
