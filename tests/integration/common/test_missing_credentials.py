"""A service without AWS credentials runs and reports them as missing by its readiness."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from local.plan import ROOT
from local.ports import Ports
from tests.support.processes.supervised import free_port_base
from tests.support.waiting import wait_until_sync

BARE = {
    "PATH": os.environ["PATH"],
    "HOST": "127.0.0.1",
    "STAGE_NAME": "dev",
    "TASK_QUEUE_URL": "http://127.0.0.1:9/000000000000/tasks",
    "OIDC_ISSUER": "http://127.0.0.1:9",
    "OIDC_AUDIENCE": "client",
    "OIDC_JWKS_URL": "http://127.0.0.1:9/keys",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def ingest(extra: Mapping[str, str]) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    ports = Ports(free_port_base())
    variables = {**BARE, "PORT": str(ports.ingest), "OPS_PORT": str(ports.ingest_ops), **extra}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.ingest"], cwd=ROOT, env=variables, stdout=subprocess.DEVNULL
    )
    try:
        wait_until_sync(
            lambda: "starting" not in (reasons := readiness(ports.ingest_ops)) and bool(reasons), "readiness"
        )
        yield ports.ingest_ops, process
    finally:
        process.terminate()
        process.wait(15)


def readiness(port: int) -> str:
    """The text of the response; empty before the port is open."""
    try:
        with OPENER.open(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


@pytest.mark.parametrize("given", [False, True])
def test_ingest_is_ready_only_where_it_has_credentials(given: bool) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"} if given else {}
    with ingest(keys) as (port, process):
        reasons = readiness(port)
        assert ("NoCredentialsError" in reasons) is not given
        assert ("IRSA or Pod Identity" in reasons) is not given
        assert process.poll() is None
