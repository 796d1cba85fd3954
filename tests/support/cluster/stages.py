"""Two stages on one local stack in a namespace of the cluster, and the ports that are forwarded to them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from local.ports import Ports
from notification_api.client.config import StageConfig
from tests.support.cluster.tools import ClusterError, Namespace, fresh_namespace, image_values, wait_until_sync
from tests.support.helm_charts import LOCAL_CHART, ROOT, STAGE_CHART, Object, merged_values
from tests.support.processes.supervised import answers_200, free_port_base
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
    """Two stages; `make forward` forwards stage `one`, with all ports on one port base."""

    namespace: Namespace
    ports: Ports
    values: dict[str, Object]

    @property
    def page_url(self) -> str:
        return f"http://localhost:{self.ports.page}"

    def config(self, stage: str, token_port: int, task_port: int) -> StageConfig:
        """The settings of a client of a stage that is forwarded to the given ports."""
        pool = self.values[stage]["userPool"]
        return StageConfig(
            token_url=f"http://localhost:{token_port}",
            task_url=f"http://localhost:{task_port}",
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
def forwarded(namespace: str, stage: str, ports: Ports) -> Iterator[subprocess.Popen[str]]:
    """Run `make forward`, and wait until the application answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.forward", stage],
        cwd=ROOT,
        env={**os.environ, "NAMESPACE": namespace, "LOCAL_PORT_BASE": str(ports.base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_sync(
            lambda: process.poll() is not None or answers_200(f"http://localhost:{ports.page}/healthz"),
            "the application behind the port-forward",
        )
        if process.poll() is not None and process.stdout is not None:
            raise ClusterError(process.stdout.read())
        yield process
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def port_forward(namespace: Namespace, target: str, port: int) -> Iterator[int]:
    """Run `kubectl port-forward`, and yield the local port that is forwarded to a port of `target`."""
    process = subprocess.Popen(
        ["kubectl", "-n", namespace.name, "port-forward", target, f":{port}"], stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or "->" not in (line := process.stdout.readline()):
            raise ClusterError(f"no port-forward to {target}")
        yield int(line.split(" -> ")[0].rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def installed_stages() -> Iterator[InstalledStages]:
    """Install two stages as a new user would, and delete them at the end."""
    ports = Ports(free_port_base())
    with ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace())
        values = install_local(namespace, ports)
        install_stage(namespace, "one", stage_values(values["one"]))
        small = {"token": {"replicas": 1}, "ingest": {"replicas": 1}}
        install_stage(namespace, "two", stage_values(values["two"], **small), "--wait", "--timeout", "120s")
        install_stage(namespace, "one", stage_values(values["one"]), "--wait", "--timeout", "120s")
        stack.enter_context(forwarded(namespace.name, "one", ports))
        yield InstalledStages(namespace, ports, values)
