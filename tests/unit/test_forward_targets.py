"""What belongs to a stage, and on which port it goes."""

from typing import Any

import pytest

from local.forward.errors import ForwardError
from local.forward.targets import Target, find_targets
from local.ports import Ports

PORTS = Ports(18_080)


def service(called: str, namespace: str = "apps", ports: dict[str, int] | None = None, **labels: str) -> dict[str, Any]:
    keys = {
        "stage": "notification-api.io/stage",
        "name": "app.kubernetes.io/name",
        "component": "app.kubernetes.io/component",
    }
    return {
        "metadata": {
            "name": called,
            "namespace": namespace,
            "labels": {keys[key]: value for key, value in labels.items()},
        },
        "spec": {"ports": [{"name": port, "port": number} for port, number in (ports or {"http": 80}).items()]},
    }


def stage(name: str, namespace: str = "apps", release: str = "") -> list[dict[str, Any]]:
    return [
        service(f"{release or name}-{component}", namespace, stage=name, component=component)
        for component in ("token", "ingest")
    ]


def emulators(namespace: str = "apps", base: int = 8080) -> dict[str, Any]:
    ports = {"page": base, "momento-grpc": base + 4, "momento-web": base + 5, "aws": base - 3514}
    return service("local-emulators", namespace, ports, name="notification-local")


def test_a_stage_has_its_two_services() -> None:
    assert find_targets([*stage("dev"), *stage("other")], "dev", PORTS) == [
        Target("token", "apps", "dev-token", "http", 18_081, "/token"),
        Target("ingest", "apps", "dev-ingest", "http", 18_082, "/task"),
    ]


def test_emulators_keep_the_ports_that_browsers_are_told() -> None:
    found = find_targets([*stage("dev"), emulators(base=28_080)], "dev", PORTS)
    assert {each.port_name: each.local_port for each in found[2:]} == {
        "page": 28_080,
        "momento-grpc": 28_084,
        "momento-web": 28_085,
        "aws": 24_566,
    }


def test_emulators_of_the_same_namespace_come_first() -> None:
    found = find_targets([emulators("else"), *stage("dev"), emulators("apps")], "dev", PORTS)
    assert {each.namespace for each in found} == {"apps"}
    found = find_targets([emulators("else"), *stage("dev")], "dev", PORTS)
    assert {each.namespace for each in found[2:]} == {"else"}


def test_grafana_is_forwarded_wherever_it_is() -> None:
    grafana = service("prometheus-grafana", "monitoring", {"http-web": 80}, name="grafana")
    found = find_targets([*stage("dev"), grafana], "dev", PORTS)
    assert found[-1] == Target("Grafana", "monitoring", "prometheus-grafana", "http-web", 3000)


def test_a_stage_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ForwardError, match=r"There is no stage dev in this cluster. There are: one, two."):
        find_targets([*stage("two"), *stage("one")], "dev", PORTS)
    with pytest.raises(ForwardError, match="There is none: helm install one"):
        find_targets([], "dev", PORTS)


def test_a_stage_that_is_there_twice_is_told_with_where() -> None:
    with pytest.raises(ForwardError, match="NAMESPACE=") as refused:
        find_targets([*stage("dev", "apps"), *stage("dev", "tests")], "dev", PORTS)
    assert "apps/dev-token" in str(refused.value)
    assert "tests/dev-token" in str(refused.value)


def test_a_service_without_labels_is_passed_over() -> None:
    bare: dict[str, Any] = {"metadata": {"name": "x", "namespace": "y"}, "spec": {"ports": []}}
    assert len(find_targets([bare, *stage("dev")], "dev", PORTS)) == 2
