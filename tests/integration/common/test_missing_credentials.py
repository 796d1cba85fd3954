"""A service without AWS credentials runs and reports them as missing by its readiness."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes.service import ServiceProcess, service_process

SETTINGS = {
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


def readiness(service: ServiceProcess) -> str:
    """The text of the response; empty before the port is open or while the service starts."""
    try:
        with OPENER.open(f"{service.ops_url}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode()
            return "" if "starting" in text else text
    except OSError:
        return ""


@pytest.mark.parametrize("given", [False, True])
async def test_ingest_is_ready_only_where_it_has_credentials(tmp_path: Path, given: bool) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"} if given else {}
    async with service_process("services.ingest", {**SETTINGS, **keys}, tmp_path, ready=False) as service:
        reasons = await asyncio.to_thread(service.wait_until, lambda: readiness(service), "readiness")
        assert ("NoCredentialsError" in reasons) is not given
        assert ("IRSA or Pod Identity" in reasons) is not given
        assert service.is_running
        assert await asyncio.to_thread(service.stop) == 0
