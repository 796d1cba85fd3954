"""`make forward` as a process, with a fake kubectl: rollouts, lost pods, ports in use."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.forward.targets import GRAFANA_PORT
from local.plan import ROOT
from local.ports import Ports
from tests.support.ports import free_port_base
from tests.support.processes.child import Child, python
from tests.support.raw_http import exchange
from tests.support.waiting import wait_until_sync

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cluster:
    """The cluster of the fake kubectl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pods").mkdir()
        (folder / "slices").touch()
        kubectl = folder / "bin" / "kubectl"
        kubectl.parent.mkdir()
        fake = ROOT / "tests" / "support" / "fakes" / "kubectl.py"
        kubectl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
        kubectl.chmod(0o755)
        services = [self._service(component) for component in ("token", "ingest")]
        (folder / "services.json").write_text(json.dumps({"items": services}))

    def add_grafana(self) -> None:
        """Services that do not belong to a stage."""
        listed = json.loads((self.folder / "services.json").read_text())
        labels = {"app.kubernetes.io/name": "grafana"}
        metadata = {"name": "grafana", "namespace": "monitoring", "labels": labels}
        listed["items"].append({"metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}})
        (self.folder / "services.json").write_text(json.dumps(listed))

    def add_second_stage(self, base: int) -> None:
        """The stage `two` beside `dev`, both on the emulators whose page belongs to `dev`."""
        listed = json.loads((self.folder / "services.json").read_text())
        for each in listed["items"]:
            each["metadata"]["annotations"] = {"notification-api.io/emulators": "http://emulators.apps.svc:4566"}
        second = json.loads(json.dumps(listed["items"]).replace('"dev', '"two'))
        ports = {"page": base, "momento-grpc": base + 4, "momento-web": base + 5, "aws": base - 3514}
        emulators = {
            "metadata": {
                "name": "emulators",
                "namespace": "apps",
                "labels": {"app.kubernetes.io/name": "notification-local"},
                "annotations": {"notification-api.io/page-stage": "dev"},
            },
            "spec": {"ports": [{"name": name, "port": port} for name, port in ports.items()]},
        }
        listed["items"] += [*second, emulators]
        (self.folder / "services.json").write_text(json.dumps(listed))
        for service, port_names in (("two-token", ["http"]), ("two-ingest", ["http"]), ("emulators", list(ports))):
            self.ready_behind(service, port_names, service)

    def ready_behind(self, service: str, port_names: list[str], pod: str) -> None:
        (self.folder / "pods" / pod).touch()
        changed = {
            "metadata": {"name": f"{service}-x", "labels": {"kubernetes.io/service-name": service}},
            "ports": [{"name": name, "port": 8080} for name in port_names],
            "endpoints": [{"targetRef": {"name": pod}, "conditions": {"ready": True}}],
        }
        with (self.folder / "slices").open("a") as events:
            events.write(json.dumps({"type": "MODIFIED", "object": changed}) + "\n")

    def _service(self, component: str) -> dict[str, object]:
        labels = {"notification-api.io/stage": "dev", "app.kubernetes.io/component": component}
        metadata = {"name": f"dev-{component}", "namespace": "apps", "labels": labels}
        return {"metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}}

    def ready(self, component: str, *pods: str) -> None:
        """Make exactly these pods of the service ready."""
        for pod in pods:
            (self.folder / "pods" / pod).touch()
        labels = {"kubernetes.io/service-name": f"dev-{component}"}
        changed = {
            "metadata": {"name": f"dev-{component}-x", "labels": labels},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"targetRef": {"name": pod}, "conditions": {"ready": True}} for pod in pods],
        }
        with (self.folder / "slices").open("a") as events:
            events.write(json.dumps({"type": "MODIFIED", "object": changed}) + "\n")

    def end(self, pod: str) -> None:
        """Delete this pod, and end every port-forward to it."""
        (self.folder / "pods" / pod).unlink()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    made = Cluster(tmp_path)
    made.ready("token", "token-1")
    made.ready("ingest", "ingest-1")
    return made


class Forward(Child):
    """A forward of a stage of the cluster."""

    def __init__(self, cluster: Cluster, arguments: Sequence[str], ports: Ports, log: str) -> None:
        self.ports = ports
        environment = {
            "PATH": f"{cluster.folder / 'bin'}:{os.environ['PATH']}",
            "FAKE_CLUSTER": str(cluster.folder),
            "LOCAL_PORT_BASE": str(ports.base),
        }
        super().__init__(python("local.forward", *arguments), environment, cluster.folder / f"log-{log}-{ports.base}")

    def answers(self, port: int, path: str = "/") -> str:
        with OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=15) as answer:
            return str(answer.read().decode())

    def may_answer(self, port: int) -> str:
        """The response; empty if the connection is lost, as to a deleted pod."""
        try:
            return self.answers(port)
        except OSError:
            return ""


@contextmanager
def forward(cluster: Cluster, *arguments: str, ports: Ports | None = None, log: str = "first") -> Iterator[Forward]:
    """Run a forward until it is ready or has ended."""
    with Forward(cluster, arguments or ("dev",), ports or Ports(free_port_base()), log) as running:
        running.wait_until(lambda: not running.is_running or "Stop with Ctrl-C" in running.output(), "forwarding")
        yield running


def test_the_printed_addresses_are_forwarded_to_the_pods(cluster: Cluster) -> None:
    with forward(cluster) as running:
        assert f"http://localhost:{running.ports.token}/token" in running.output()
        assert running.answers(running.ports.token) == "token-1"
        assert running.answers(running.ports.ingest) == "ingest-1"


def test_a_rollout_is_followed_before_the_old_pod_ends(cluster: Cluster) -> None:
    with forward(cluster) as running:
        port = running.ports.token
        assert running.answers(port) == "token-1"
        cluster.ready("token", "token-2")  # token-1 is terminating: it answers, but is no longer ready
        wait_until_sync(lambda: running.answers(port) == "token-2", "the new pod")
        cluster.end("token-1")
        assert [running.answers(port) for _ in range(5)] == ["token-2"] * 5
        assert "token: now to pod token-2" in running.output()


def test_a_ready_pod_keeps_its_connections_when_others_become_ready(cluster: Cluster) -> None:
    with forward(cluster) as running:
        cluster.ready("token", "token-1", "token-2")
        assert [running.answers(running.ports.token) for _ in range(5)] == ["token-1"] * 5


def test_a_pod_that_dies_suddenly_is_replaced(cluster: Cluster) -> None:
    with forward(cluster) as running:
        cluster.end("token-1")
        cluster.ready("token", "token-2")
        wait_until_sync(lambda: running.may_answer(running.ports.token) == "token-2", "the new pod")


def test_a_broken_port_forward_is_reopened(cluster: Cluster) -> None:
    with forward(cluster) as running:
        assert running.answers(running.ports.token) == "token-1"
        cluster.end("token-1")
        wait_until_sync(lambda: running.is_running, "still running")
        cluster.ready("token", "token-1")
        wait_until_sync(lambda: running.may_answer(running.ports.token) == "token-1", "the same pod again")


def test_a_connection_waits_for_a_pod_to_be_ready(cluster: Cluster) -> None:
    with forward(cluster) as running:
        cluster.ready("token")
        cluster.end("token-1")
        wait_until_sync(lambda: held(running.ports.token), "the end of the only tunnel")
        with socket.create_connection(("127.0.0.1", running.ports.token), timeout=15) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            cluster.ready("token", "token-9")
            assert b"".join(iter(lambda: connection.recv(4096), b"")).endswith(b"token-9")


def held(port: int) -> bool:
    """Whether a connection is neither answered nor closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            connection.recv(1)
        except TimeoutError:
            return True
        except ConnectionError:
            return False
    return False


def test_it_stops_on_a_signal_and_leaves_no_kubectl(cluster: Cluster) -> None:
    with forward(cluster) as running:
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        assert running.output().endswith("stopped\n")
        marker = f"FAKE_CLUSTER={cluster.folder}".encode()
        assert not [pid for pid in Path("/proc").glob("[0-9]*") if marker in environment_of(pid)]


def environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def test_a_port_in_use_is_reported(cluster: Cluster) -> None:
    ports = Ports(free_port_base())
    with socket.create_server(("127.0.0.1", ports.token)), forward(cluster, ports=ports) as running:
        assert running.ended() == 2
        assert f"Port {ports.token} (token) is in use" in running.output()


def test_a_second_stage_is_forwarded_beside_the_first(cluster: Cluster) -> None:
    first, second = Ports(free_port_base()), Ports(free_port_base())
    cluster.add_second_stage(first.base)
    with forward(cluster, ports=first) as one, forward(cluster, "two", ports=second) as two:
        assert f"http://localhost:{first.page}" in one.output()
        assert one.answers(first.token) == "token-1"
        addresses = {int(port) for port in re.findall(r"http://localhost:(\d+)", two.output())}
        assert addresses == {second.token, second.ingest, second.aws, second.momento_grpc, second.momento_web}
        assert two.answers(second.token) == "two-token"
        assert two.answers(second.ingest) == "two-ingest"
        assert {two.answers(port) for port in addresses - {second.token, second.ingest}} == {"emulators"}
        assert "Left out: the application, which is configured for the stage dev" in two.output()
        assert (
            f"Port {first.momento_web} (Momento (web) for tokens) is in use. Tokens of this stage contain this port"
            in two.output()
        )


def test_the_application_and_the_api_have_one_origin(cluster: Cluster) -> None:
    ports = Ports(free_port_base())
    cluster.add_second_stage(ports.base)
    with forward(cluster, ports=ports) as running:
        answers = {
            path: running.answers(ports.page, path) for path in ("/", "/config.json", "/token", "/task", "/task/x")
        }
        assert answers == {
            "/": "emulators",
            "/config.json": "emulators",
            "/token": "token-1",
            "/task": "ingest-1",
            "/task/x": "token-1",
        }
        foreign = exchange(ports.page, "GET /token HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert foreign.status == 421


def test_the_applications_port_in_use_is_reported(cluster: Cluster) -> None:
    ports = Ports(free_port_base())
    cluster.add_second_stage(ports.base)
    with socket.create_server(("127.0.0.1", ports.page)), forward(cluster, ports=ports) as running:
        assert running.ended() == 2
        assert f"Port {ports.page} (application) is in use" in running.output()


def test_a_second_stage_on_the_same_ports_gets_advice(cluster: Cluster) -> None:
    ports = Ports(free_port_base())
    cluster.add_second_stage(ports.base)
    with forward(cluster, ports=ports), forward(cluster, "two", ports=ports, log="second") as two:
        assert two.ended() == 2
        assert f"Port {ports.token} (token) is in use" in two.output()
        assert "LOCAL_PORT_BASE=9000 make forward" in two.output()


def test_grafanas_port_in_use_stops_nothing(cluster: Cluster) -> None:
    cluster.add_grafana()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # another process has it, which serves as well
            holder.bind(("127.0.0.1", GRAFANA_PORT))
            holder.listen()
        with forward(cluster) as running:
            assert f"Left out: Grafana. Port {GRAFANA_PORT} (Grafana) is in use." in running.output()
            assert running.answers(running.ports.token) == "token-1"


def test_a_missing_stage_is_reported(cluster: Cluster) -> None:
    with forward(cluster, "prod") as running:
        assert running.ended() == 2
        assert "There is no stage prod in this cluster. Its stages: dev." in running.output()


def test_a_missing_argument_is_reported(cluster: Cluster) -> None:
    with forward(cluster, "") as running:
        assert running.ended() == 2
        assert "make forward STAGE=dev" in running.output()


def test_a_missing_kubectl_is_reported(cluster: Cluster) -> None:
    (cluster.folder / "bin" / "kubectl").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "local.forward", "dev"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(cluster.folder / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "kubectl is not on PATH" in done.stderr
