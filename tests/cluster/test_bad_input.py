"""Mistakes that show only once pods run: each is reported by name, and no pod crash-loops."""

import json
import secrets

import pytest

from tests.support.cluster.stages import InstalledStages, install_stage, stage_values
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


def wait_for_reason(namespace: Namespace, release: str, component: str, word: str) -> None:
    def current() -> str:
        return reasons(namespace, release, component)

    wait_until_sync(lambda: word in current(), current, timeout_seconds=40)


def restarts(namespace: Namespace, release: str) -> int:
    pods = namespace.pods(f"app.kubernetes.io/instance={release}")
    return sum(status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"])


@pytest.fixture
def release() -> str:
    return f"mistaken-{secrets.token_hex(3)}"


@pytest.mark.timeout(180)
def test_missing_aws_credentials_are_reported_by_readiness(stages: InstalledStages, release: str) -> None:
    namespace = stages.namespace
    without = {"aws": {"emulated": False}, "momento": {"endpoint": stages.values["one"]["momento"]["endpoint"]}}
    install_stage(namespace, release, stage_values(stages.values["one"], **without, **ONE_EACH))
    try:
        wait_for_reason(namespace, release, "token", "NoCredentialsError")
        wait_for_reason(namespace, release, "processor", "NoCredentialsError")
        wait_for_reason(namespace, release, "ingest", "NoCredentialsError")
        assert "IRSA or Pod Identity" in reasons(namespace, release, "token")
        assert restarts(namespace, release) == 0
    finally:
        namespace.helm("uninstall", release)


@pytest.mark.timeout(180)
def test_a_missing_parameter_is_reported_by_its_name(stages: InstalledStages, release: str) -> None:
    namespace = stages.namespace
    install_stage(namespace, release, stage_values(stages.values["one"], ssmStageName="absent", **ONE_EACH))
    try:
        wait_for_reason(namespace, release, "token", "ParameterNotFound")
        assert "/notification-api/absent/momento-api-key" in reasons(namespace, release, "token")
        assert restarts(namespace, release) == 0
    finally:
        namespace.helm("uninstall", release)


def test_an_image_that_cannot_be_pulled_is_named_in_the_notes_and_events(stages: InstalledStages, release: str) -> None:
    namespace = stages.namespace
    values = stage_values(stages.values["one"], image={"repository": "localhost/no-such", "tag": "1"}, **ONE_EACH)
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
