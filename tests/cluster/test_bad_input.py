"""Mistakes that only show once the pods run: each is told by name, and nothing crash-loops."""

import json
import secrets

import pytest

from tests.support.cluster.stages import World, install_stage, stage_values
from tests.support.cluster.tools import Namespace, wait_until_sync
from tests.support.helm_charts import Object

READYZ = (
    "import urllib.request, urllib.error\n"
    "try: answer = urllib.request.urlopen('http://127.0.0.1:9090/readyz', timeout=5)\n"
    "except urllib.error.HTTPError as error: answer = error\n"
    "print(answer.read().decode())"
)
ONE_EACH: Object = {"token": {"replicas": 1}, "ingest": {"replicas": 1}}


def running(namespace: Namespace, release: str, component: str) -> Object | None:
    pods = namespace.of_component(release, component)
    return next((pod for pod in pods if pod["status"].get("containerStatuses", [{}])[0].get("started")), None)


def reasons(namespace: Namespace, release: str, component: str) -> str:
    pod = wait_until_sync(lambda: running(namespace, release, component), f"a running pod of {release}-{component}")
    answer = json.loads(namespace.python(pod["metadata"]["name"], READYZ))
    return json.dumps(answer["reasons"])


def until_told(namespace: Namespace, release: str, component: str, word: str) -> None:
    def told() -> str:
        return reasons(namespace, release, component)

    wait_until_sync(lambda: word in told(), told, timeout_seconds=40)


def restarts(namespace: Namespace, release: str) -> int:
    pods = namespace.pods(f"app.kubernetes.io/instance={release}")
    return sum(status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"])


@pytest.fixture
def release() -> str:
    return f"mistaken-{secrets.token_hex(3)}"


@pytest.mark.timeout(180)
def test_missing_aws_credentials_are_told_by_readiness(world: World, release: str) -> None:
    namespace = world.namespace
    without = {"aws": {"emulated": False}, "momento": {"endpoint": world.values["one"]["momento"]["endpoint"]}}
    install_stage(namespace, release, stage_values(world.values["one"], **without, **ONE_EACH))
    try:
        until_told(namespace, release, "token", "NoCredentialsError")
        until_told(namespace, release, "processor", "NoCredentialsError")
        until_told(namespace, release, "ingest", "NoCredentialsError")
        assert "IRSA or Pod Identity" in reasons(namespace, release, "token")
        assert restarts(namespace, release) == 0
    finally:
        namespace.helm("uninstall", release)


@pytest.mark.timeout(180)
def test_an_absent_parameter_is_told_with_whose_it_is(world: World, release: str) -> None:
    namespace = world.namespace
    install_stage(namespace, release, stage_values(world.values["one"], ssmStageName="nobody", **ONE_EACH))
    try:
        until_told(namespace, release, "token", "ParameterNotFound")
        assert "/notification-api/nobody/momento-api-key" in reasons(namespace, release, "token")
        assert restarts(namespace, release) == 0
    finally:
        namespace.helm("uninstall", release)


def test_an_image_that_cannot_be_had_is_looked_for_as_the_notes_say(world: World, release: str) -> None:
    namespace = world.namespace
    values = stage_values(world.values["one"], image={"repository": "localhost/no-such", "tag": "1"}, **ONE_EACH)
    notes = namespace.helm("install", release, "charts/notification-api", values=values)
    try:
        assert "localhost/no-such:1 cannot be pulled" in notes

        def waiting() -> str:
            pod = namespace.of_component(release, "token")[0]
            statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
            reason: str = statuses[0]["state"].get("waiting", {}).get("reason", "")
            return reason if reason in {"ErrImagePull", "ImagePullBackOff"} else ""

        assert wait_until_sync(waiting, "the failed pull")
        assert "no-such" in namespace.kubectl("get", "events", "--field-selector", "reason=Failed")
    finally:
        namespace.helm("uninstall", release)
