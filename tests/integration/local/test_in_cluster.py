"""The local stack in its pod: it creates one stage, prints its values and serves its application."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.in_cluster.page import page_settings
from local.outputs import Outputs
from local.plan import ROOT
from tests.support.processes.local_stack import LocalStack
from tests.support.yaml_text import load_yaml

STAGE = "elsewhere"


def variables(stack: LocalStack, **changed: str) -> dict[str, str]:
    """The settings of the chart, except for the addresses."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": stack.aws_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": stack.plan.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.plan.keys.secret_access_key,
        "SERVICE_NAME": "notification-api",
        "STAGE_NAME": STAGE,
        "MOMENTO_ENDPOINT": f"http://127.0.0.1:{stack.ports.momento_grpc}",
        "MOMENTO_ADMIN_URL": f"http://127.0.0.1:{stack.ports.momento_web}",
        "STAGE_AWS_URL": "http://emulators.apps.svc:4566",
        "STAGE_MOMENTO_URL": "http://emulators.apps.svc:8084",
        "STAGE_MOMENTO_WEB_URL": "http://localhost:8085",
        "STAGE_ORIGINS": "http://localhost:8080,http://127.0.0.1:8080",
        "PAGE_PORT": "8080",
        "PAGE_COGNITO_URL": "http://localhost:4566",
        **changed,
    }


async def bootstrap(environment: dict[str, str], outputs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.in_cluster.bootstrap", f"--outputs={outputs}"]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90
    )


async def test_the_log_of_the_bootstrap_is_a_values_file_of_the_created_stage(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    environment = variables(local_stack)
    done = await bootstrap(environment, tmp_path / "outputs.json")
    assert done.returncode == 0, done.stdout + done.stderr
    printed, outputs = load_yaml(done.stdout), Outputs.read(tmp_path / "outputs.json")
    assert "# created queue notification-api-elsewhere-tasks" in done.stdout
    assert printed["stageName"] == STAGE
    assert printed["queue"] == {"url": outputs.queue_url, "deadLetterUrl": outputs.dead_letter_queue_url}
    assert printed["userPool"] == {"id": outputs.user_pool_id, "clientId": outputs.user_pool_client_id}
    assert printed["momento"]["cacheName"] == outputs.cache_name == "notification-api-elsewhere"
    assert printed["aws"] == {"region": "us-east-1", "endpointUrl": "http://emulators.apps.svc:4566", "emulated": True}
    page = page_settings(outputs, environment)
    assert page.client_config()["userPoolId"] == outputs.user_pool_id
    assert page.client_config()["apiUrl"] == "http://localhost:8080"
    assert page.dev_view is None


async def test_the_bootstrap_can_be_repeated(local_stack: LocalStack, tmp_path: Path) -> None:
    environment = variables(local_stack)
    first = await bootstrap(environment, tmp_path / "first.json")
    again = await bootstrap(environment, tmp_path / "again.json")
    assert first.returncode == again.returncode == 0
    assert Outputs.read(tmp_path / "first.json") == Outputs.read(tmp_path / "again.json")
    assert "# created" not in again.stdout


async def test_a_failure_is_a_comment_and_an_exit_status(local_stack: LocalStack, tmp_path: Path) -> None:
    done = await bootstrap(variables(local_stack, STAGE_NAME="no.name"), tmp_path / "outputs.json")
    assert done.returncode == 1
    assert "may only have" in done.stdout
    assert all(line.startswith("#") for line in done.stdout.splitlines())
    assert not (tmp_path / "outputs.json").exists()


async def test_no_momento_api_key_is_printed(local_stack: LocalStack, tmp_path: Path) -> None:
    done = await bootstrap(variables(local_stack), tmp_path / "outputs.json")
    assert "api_key" not in done.stdout
    assert "eyJ" not in done.stdout


@pytest.mark.parametrize("missing", ["STAGE_AWS_URL", "PAGE_COGNITO_URL"])
def test_a_missing_variable_is_named(missing: str) -> None:
    outputs = Outputs("queue", "dlq", "pool", "client", "cache", "parameter")
    addresses = ("STAGE_AWS_URL", "STAGE_MOMENTO_URL", "STAGE_MOMENTO_WEB_URL", "STAGE_ORIGINS", "AWS_ENDPOINT_URL")
    names = ("SERVICE_NAME", "STAGE_NAME", "AWS_DEFAULT_REGION")
    environment = dict.fromkeys((*addresses, *names, "PAGE_COGNITO_URL"), "x") | {
        "PAGE_PORT": "8080",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    del environment[missing]
    with pytest.raises(KeyError, match=missing):
        page_settings(outputs, environment)
