"""`scaling.engine: keda` with a real KEDA; skipped where the cluster has none."""

import json
from collections.abc import Iterator

import pytest

from local.ports import Ports
from tests.support.cluster.tools import ClusterError, Namespace, fresh_namespace, image_values, run, wait_until_sync
from tests.support.helm_charts import LOCAL_CHART, STAGE_CHART, Object, merged_values
from tests.support.ports import free_port_base
from tests.support.yaml_text import load_yaml

KEDA_NAMESPACE = "keda"
SMALL: Object = {
    "token": {"replicas": 0},
    "ingest": {"replicas": 0},
    "processor": {"settings": {"ECHO_SECONDS": 20, "CONCURRENCY": 1, "RECEIVE_WAIT_SECONDS": 1}},
    "shutdown": {"delaySeconds": 1, "graceSeconds": 5, "processorGraceSeconds": 20},
    "scaling": {
        "engine": "keda",
        "maxReplicas": 2,
        "keda": {"queueLength": 1, "pollingIntervalSeconds": 2, "cooldownSeconds": 5},
    },
}
SEND = """
import asyncio
from aiobotocore.session import get_session
async def main():
    async with get_session().create_client('sqs') as sqs:
        for number in range({count}):
            await sqs.send_message(QueueUrl={url!r}, MessageBody='{{"userId": "u", "payload": "{{}}"}}')
asyncio.run(main())
"""


def has_keda() -> bool:
    try:
        run("kubectl", "-n", KEDA_NAMESPACE, "rollout", "status", "deployment/keda-operator", "--timeout=1s")
    except ClusterError:
        return False
    return True


@pytest.fixture
def home() -> Iterator[Namespace]:
    if not has_keda():
        pytest.skip("the cluster has no KEDA")
    with fresh_namespace() as made:
        yield made


def credentials() -> Object:
    """The emulator's key pair: as a file for the services, and as separate keys for KEDA."""
    file = "[default]\naws_access_key_id = local\naws_secret_access_key = local\n"
    keys = {"credentials": file, "awsAccessKeyID": "local", "awsSecretAccessKey": "local"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws-keys"}, "stringData": keys}


def is_ready(home: Namespace, name: str) -> bool:
    conditions = home.get("scaledobject", name).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def replicas(home: Namespace, name: str) -> int:
    return int(home.get("deployment", name)["spec"].get("replicas", 1))


def test_keda_reads_the_queue_with_the_emulators_key_pair_and_with_one_from_a_secret(home: Namespace) -> None:
    ports = Ports(free_port_base())
    emulators = {
        "portBase": ports.base,
        "networkPolicy": {"fromNamespaces": [home.name, KEDA_NAMESPACE]},
        **image_values("-local"),
    }
    home.helm("install", "local", str(LOCAL_CHART), "--wait", "--timeout", "180s", values=emulators)
    printed = load_yaml(home.kubectl("logs", "deployment/local-emulators", "-c", "bootstrap-dev"))
    values = merged_values(merged_values(printed, image_values()), SMALL)
    home.apply(credentials())
    to_emulators = {
        "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "notification-local"}}}],
        "ports": [{"protocol": "TCP", "port": port} for port in (ports.aws, ports.momento_grpc)],
    }
    by_secret = {
        "aws": {"emulated": False, "credentialsSecret": "aws-keys"},
        "networkPolicy": {"egress": [to_emulators]},
    }
    home.helm("install", "emulated", str(STAGE_CHART), values=values)
    home.helm("install", "secret", str(STAGE_CHART), values=merged_values(values, by_secret))
    names = [f"{release}-processor" for release in ("emulated", "secret")]
    wait_until_sync(lambda: all(is_ready(home, name) for name in names), lambda: seen(home))
    wait_until_sync(lambda: not any(replicas(home, name) for name in names), lambda: f"no processors: {seen(home)}")
    code = SEND.format(count=8, url=printed["queue"]["url"])
    home.kubectl("exec", "deployment/local-emulators", "-c", "page", "--", "python", "-c", code)
    wait_until_sync(lambda: all(replicas(home, name) for name in names), lambda: f"processors: {seen(home)}")


def seen(home: Namespace) -> str:
    """The status that KEDA reports of its objects."""
    return json.dumps([each.get("status") for each in home.get("scaledobjects")["items"]])
