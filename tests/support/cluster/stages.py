"""Two stages on one local stack in a namespace of the cluster, and the ports that are forwarded to them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from local.ports import Ports
from notification_api.client import StageConfig
from tests.support.cluster.tools import PATIENCE_SECONDS, Namespace, fresh_namespace, image_values
from tests.support.helm_charts import LOCAL_CHART, STAGE_CHART, Object, merged_values
from tests.support.ports import free_port_base
from tests.support.processes.child import Child, python, running
from tests.support.yaml_text import load_yaml

STAGES = ("one", "two")
QUICK: Object = {
    "processor": {"settings": {"ECHO_SECONDS": 0.2, "RECEIVE_WAIT_SECONDS": 1}},
    "ingest": {"settings": {"TASKS_PER_MINUTE": 0}},
    "shutdown": {"delaySeconds": 3, "graceSeconds": 10, "processorGraceSeconds": 20},
}
"""Like the defaults, but with short tasks and polls."""


@dataclass(frozen=True)
class InstalledStages:
    """Two stages; `make forward` forwards stage `one`, with all ports on one port base. `two` has a list of types."""

    namespace: Namespace
    ports: Ports
    values: dict[str, Object]

    @property
    def page_url(self) -> str:
        return f"http://localhost:{self.ports.page}"

    def config(self, stage: str, token_port: int) -> StageConfig:
        """The settings of a client of a stage whose token service is forwarded to this port."""
        pool = self.values[stage]["userPool"]
        return StageConfig(
            api_url=f"http://localhost:{token_port}",
            user_pool_id=pool["id"],
            user_pool_client_id=pool["clientId"],
            cognito_endpoint=f"http://localhost:{self.ports.aws}",
        )


def install_local(namespace: Namespace, ports: Ports) -> dict[str, Object]:
    """Install the local stack, and return the values that it prints for each stage."""
    values = {"stages": list(STAGES), "portBase": ports.base, **image_values("-local")}
    namespace.helm("install", "local", str(LOCAL_CHART), "--wait", "--timeout", "120s", values=values)
    return {
        stage: load_yaml(namespace.kubectl("logs", "deployment/local-emulators", "-c", f"bootstrap-{stage}"))
        for stage in STAGES
    }


def stage_values(printed: Object, **more: Any) -> Object:
    return merged_values(merged_values(merged_values(printed, image_values()), QUICK), more)


def install_stage(namespace: Namespace, release: str, values: Object, *options: str) -> None:
    namespace.helm("upgrade", "--install", release, str(STAGE_CHART), *options, values=values)


@contextmanager
def forwarded(namespace: str, stage: str, ports: Ports) -> Iterator[Child]:
    """Run `make forward`, and wait until the application answers."""
    settings = {"NAMESPACE": namespace, "LOCAL_PORT_BASE": str(ports.base)}
    with running(python("local.forward", stage), {**os.environ, **settings}) as child:
        child.wait_until_ready(f"http://localhost:{ports.page}/healthz", PATIENCE_SECONDS)
        yield child


@contextmanager
def port_forward(namespace: Namespace, target: str, port: int) -> Iterator[int]:
    """Run `kubectl port-forward`, and yield the local port that is forwarded to a port of `target`."""
    command = ["kubectl", "-n", namespace.name, "port-forward", target, f":{port}"]
    with running(command, os.environ) as child:
        yield int(child.wait_for_output(r":(\d+) -> ")[1])


@contextmanager
def installed_stages() -> Iterator[InstalledStages]:
    """Install two stages as a new user would, and delete them at the end."""
    ports = Ports(free_port_base())
    with ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace())
        values = install_local(namespace, ports)
        install_stage(namespace, "one", stage_values(values["one"]))
        small = {"token": {"replicas": 1}, "ingest": {"replicas": 1}, "taskTypes": ["default", "steps"]}
        install_stage(namespace, "two", stage_values(values["two"], **small), "--wait", "--timeout", "120s")
        install_stage(namespace, "one", stage_values(values["one"]), "--wait", "--timeout", "120s")
        stack.enter_context(forwarded(namespace.name, "one", ports))
        yield InstalledStages(namespace, ports, values)
