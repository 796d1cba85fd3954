"""An operator in its own namespaces with its own emulated AWS account, and helpers for its stages."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.ports import Ports
from tests.support.cluster.tools import Namespace, fresh_namespace, image_values, read_text, ready, run, wait_until_sync
from tests.support.helm_charts import LOCAL_CHART, OPERATOR_CHART, STAGE_CHART, Object, merged_values
from tests.support.ports import free_port_base
from tests.support.yaml_text import load_yaml

CLUSTER_NAME = "operator-tests"
KEY_PARAMETER = "/notification-api/dev/momento-api-key"
SERVICE = "local-emulators"
OPERATOR_PODS = "app.kubernetes.io/name=notification-operator"
RESYNC_SECONDS = 5
NAMESPACES = 3
QUOTAS = [
    "--topic-operations-per-second=5000",
    "--subscriptions=1000",
    "--cache-operations-per-second=5000",
    "--max-caches=200",
]
"""The quotas that a team has raised before production, except those of control calls."""
LITTLE_CPU: Object = {"resources": {"requests": {"cpu": "10m"}}}
"""So that every pod fits on a small node."""


@dataclass
class InstalledOperator:
    """An operator and its emulators in namespace `home`, and the namespaces in which tests install stages."""

    home: Namespace
    namespaces: list[Namespace]
    deletable: Namespace
    """One that a test may delete, so that all others find theirs in any order."""
    ports: Ports
    printed: Object
    """The values that the local stack prints. `stage_values` leaves out the resources that they name."""

    @property
    def namespace(self) -> Namespace:
        return self.namespaces[0]

    def account(self, prefix: str) -> dict[str, list[str]]:
        """Names of all queues, user pools and caches that begin so."""
        code = f"import sys; sys.argv = ['-', {prefix!r}]\n" + read_text("operator_account.py")
        output = self.home.kubectl(
            "exec", "deployment/local-emulators", "-c", "page", "--", "env", f"MOMENTO_PORT={self.ports.base + 4}",
            "python", "-c", code,
        )  # fmt: skip
        return dict(json.loads(output))

    def aws(self, code: str) -> str:
        """Run statements with `sqs` and `idp` open, inside the emulators' pod; what they print."""
        indented = "\n".join("    " * 2 + line for line in code.splitlines())
        return self.home.kubectl(
            "exec", "deployment/local-emulators", "-c", "page", "--", "python", "-c",
            "import asyncio, json\nfrom aiobotocore.session import get_session\nasync def main():\n"
            "    aws = get_session()\n"
            "    async with aws.create_client('sqs') as sqs, aws.create_client('cognito-idp') as idp:\n"
            f"{indented}\nasyncio.run(main())",
        )  # fmt: skip

    def burst(
        self, namespace: Namespace, name: str, count: int, seconds: int = 150, *, tail: tuple[int, float] = (0, 0.0)
    ) -> dict[str, float]:
        """Send so many tasks to a stage, listen as their users, and report the results.

        :param tail: how many more are sent afterwards, one by one, and the seconds between them.
        """
        made = namespace.get("stage", name)["status"]["resources"]
        # Not by the Service: the emulators' NetworkPolicy lets nothing out of their pod.
        aws = f"http://127.0.0.1:{urlsplit(self.printed['aws']['endpointUrl']).port}"
        arguments = [
            aws + urlsplit(made["queueUrl"]).path,
            made["cacheName"],
            str(count),
            str(seconds),
            *map(str, tail),
        ]
        code = f"import sys; sys.argv = ['-', *{arguments!r}]\n" + read_text("operator_burst.py")
        # The container of the Momento emulator has enough memory for two SDKs; that of the page has not.
        output = self.home.kubectl(
            "exec", "deployment/local-emulators", "-c", "momento", "--", "env", f"MOMENTO_PORT={self.ports.base + 4}",
            f"AWS_ENDPOINT_URL={aws}", "AWS_DEFAULT_REGION=us-east-1",
            "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
            "python", "-c", code, seconds=seconds + 60,
        )  # fmt: skip
        return dict(json.loads(output.strip().splitlines()[-1]))

    def scale_operator(self, replicas: int) -> None:
        self.home.kubectl("scale", "deployment/operator", f"--replicas={replicas}")
        wait_until_sync(
            lambda: len(self.home.pods(OPERATOR_PODS)) == replicas,
            f"{replicas} operators",
        )

    def unplug_aws(self) -> None:
        """Make AWS and Momento unreachable; they keep their state."""
        self.home.kubectl("patch", "service", SERVICE, "-p", '{"spec":{"selector":{"unplugged":"yes"}}}')
        # A Service's connections outlive its selector; those of a new pod do not exist yet.
        self.home.kubectl("delete", "pod", "-l", OPERATOR_PODS, "--grace-period=1")

    def plug_in_aws(self) -> None:
        self.home.kubectl("patch", "service", SERVICE, "-p", '{"spec":{"selector":{"unplugged":null}}}')

    def operator_metric(self, beginning: str) -> float:
        """The sum of the operator's samples whose lines begin so."""
        text = self.home.python(
            "deployment/operator",
            "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9090/metrics').read().decode())",
        )
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(beginning))

    def stage_values(self, stage: str, **more: Any) -> Object:
        """Values of a small, fast release whose resources the operator provisions."""
        values = {key: value for key, value in self.printed.items() if key not in ("queue", "userPool", "momento")}
        momento = {key: value for key, value in self.printed["momento"].items() if key != "cacheName"}
        small: Object = {
            "stageName": stage,
            "ssmStageName": "dev",
            "momento": momento,
            "token": {"replicas": 1, **LITTLE_CPU},
            "ingest": {"replicas": 1, "settings": {"TASKS_PER_MINUTE": 0}, **LITTLE_CPU},
            "processor": {"settings": {"ECHO_SECONDS": 0.2, "RECEIVE_WAIT_SECONDS": 1}, **LITTLE_CPU},
            "shutdown": {"delaySeconds": 1, "graceSeconds": 5, "processorGraceSeconds": 20},
        }
        return merged_values(merged_values(merged_values(values, image_values()), small), more)

    def install(self, namespace: Namespace, release: str, **more: Any) -> None:
        namespace.helm("install", release, str(STAGE_CHART), values=self.stage_values(release, **more))


def stage(name: str, **spec: Any) -> Object:
    """A Stage without pods: the operator provisions the same resources, but the Stage is never Ready."""
    return {
        "apiVersion": "notification-api.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {"stageName": name, "ssmStageName": "dev", **spec},
    }


def condition(namespace: Namespace, name: str, kind: str) -> Object:
    """A condition of a Stage; empty while it has none."""
    found = [each for each in conditions(namespace, name) if each["type"] == kind]
    return found[0] if found else {}


def conditions(namespace: Namespace, name: str) -> list[Object]:
    found: list[Object] = namespace.get("stage", name).get("status", {}).get("conditions", [])
    return found


def is_ready(namespace: Namespace, name: str) -> bool:
    return bool(condition(namespace, name, "Ready").get("status") == "True")


def wait_ready(namespace: Namespace, *names: str, seconds: float = 240) -> None:
    def late() -> list[str]:
        return [name for name in names if not is_ready(namespace, name)]

    wait_until_sync(
        lambda: not late(),
        lambda: f"ready: {[(name, conditions(namespace, name)) for name in late()]}",
        timeout_seconds=seconds,
    )


def is_provisioned(namespace: Namespace, name: str) -> bool:
    return bool(condition(namespace, name, "Provisioned").get("status") == "True")


def wait_provisioned(namespace: Namespace, *names: str, seconds: float = 240) -> None:
    """Wait until Stages without pods are provisioned; they never become Ready."""

    def late() -> list[str]:
        return [name for name in names if not is_provisioned(namespace, name)]

    wait_until_sync(
        lambda: not late(),
        lambda: f"provisioned: {[(name, conditions(namespace, name)) for name in late()]}",
        timeout_seconds=seconds,
    )


def is_deleted(namespace: Namespace, name: str) -> bool:
    return not namespace.kubectl("get", "stage", name, "--ignore-not-found")


def wait_deleted(namespace: Namespace, name: str, seconds: float = 180) -> None:
    wait_until_sync(
        lambda: is_deleted(namespace, name),
        lambda: f"stage {name} deleted: {conditions(namespace, name)}",
        timeout_seconds=seconds,
    )


def names_of(stage_name: str, service: str = "notification-api") -> dict[str, list[str]]:
    """The names of the resources of a stage, as `InstalledOperator.account` returns it."""
    stem = f"{service}-{stage_name}"
    return {"queues": [f"{stem}-dlq", f"{stem}-tasks"], "pools": [f"{stem}-UserPool"], "caches": [stem]}


NOTHING: dict[str, list[str]] = {"queues": [], "pools": [], "caches": []}


def _remove_finalizers(namespace: Namespace) -> None:
    """Stages that a failed test left would block the deletion of their namespace once the operator is deleted."""
    for each in namespace.kubectl("get", "stages", "-o", "name").split():
        namespace.kubectl("patch", each, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


@contextmanager
def installed_operator(settings: Object | None = None) -> Iterator[InstalledOperator]:
    """Install an operator that watches only its own namespaces, since the cluster is shared."""
    ports = Ports(free_port_base())
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(OPERATOR_CHART / "crds"))
    with ExitStack() as stack:
        home = stack.enter_context(fresh_namespace())
        *namespaces, deletable = [stack.enter_context(fresh_namespace()) for _ in range(NAMESPACES + 1)]
        for namespace in (*namespaces, deletable):
            stack.callback(_remove_finalizers, namespace)
        names = [namespace.name for namespace in (*namespaces, deletable)]
        emulators = {
            "stages": ["dev"],
            "portBase": ports.base,
            "momento": {"args": QUOTAS},
            "networkPolicy": {"fromNamespaces": [home.name, *names, "keda"]},
            **image_values("-local"),
        }
        home.helm("install", "local", str(LOCAL_CHART), "--wait", "--timeout", "180s", values=emulators)
        printed = load_yaml(home.kubectl("logs", "deployment/local-emulators", "-c", "bootstrap-dev"))
        operator_values = {
            "clusterName": CLUSTER_NAME,
            "namespaces": names,
            "momento": {"apiKeyParameter": KEY_PARAMETER, "endpoint": printed["momento"]["endpoint"]},
            "aws": printed["aws"],
            "settings": {"RESYNC_SECONDS": RESYNC_SECONDS, "LOG_LEVEL": "DEBUG", **(settings or {})},
            **image_values(),
        }
        # The operator is uninstalled first: it would add the finalizers again, and its ClusterRole is in no namespace.
        # A failed test may have left Stages, so the check for them is skipped.
        stack.callback(
            home.helm, "uninstall", "operator", "--ignore-not-found", "--wait", "--cascade=foreground", "--no-hooks"
        )
        home.helm("install", "operator", str(OPERATOR_CHART), values=operator_values)
        wait_until_sync(
            lambda: all(ready(pod) for pod in home.pods(OPERATOR_PODS)),
            lambda: (
                f"operator ready: {home.kubectl('describe', 'pods', '-l', OPERATOR_PODS)}"
                + home.kubectl("logs", "deployment/operator")
            ),
            timeout_seconds=60,
        )
        yield InstalledOperator(home, namespaces, deletable, ports, printed)
