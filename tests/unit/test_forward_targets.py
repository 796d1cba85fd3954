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


def stage(name: str, namespace: str = "apps", *, emulated: str = "") -> list[dict[str, Any]]:
    """`emulated`: the namespace of its emulators."""
    made = [service(f"{name}-{part}", namespace, stage=name, component=part) for part in ("token", "ingest")]
    for each in made if emulated else ():
        where = f"http://local-emulators.{emulated}.svc:4566"
        each["metadata"]["annotations"] = {"notification-api.io/emulators": where}
    return made


def emulators(namespace: str = "apps", base: int = 8080) -> dict[str, Any]:
    ports = {"page": base, "momento-grpc": base + 4, "momento-web": base + 5, "aws": base - 3514}
    return service("local-emulators", namespace, ports, name="notification-local")


def test_a_stage_has_its_two_services() -> None:
    assert find_targets([*stage("dev"), *stage("other")], "dev", PORTS) == [
        Target("token", "apps", "dev-token", "http", 18_081, "/token"),
        Target("ingest", "apps", "dev-ingest", "http", 18_082, "/task"),
    ]


def test_emulators_keep_the_ports_that_browsers_are_told() -> None:
    found = find_targets([*stage("dev", emulated="apps"), emulators(base=28_080)], "dev", PORTS)
    assert {each.port_name: each.local_port for each in found[2:]} == {
        "page": 28_080,
        "momento-grpc": 28_084,
        "momento-web": 28_085,
        "aws": 24_566,
    }


def test_the_services_go_where_the_page_tells_browsers_that_they_are() -> None:
    found = find_targets([*stage("dev", emulated="apps"), emulators(base=28_080)], "dev", PORTS)
    assert [each.local_port for each in found[:2]] == [28_081, 28_082]


def test_emulators_are_those_that_the_stage_runs_on() -> None:
    others = [emulators("apps"), emulators("else"), emulators("third")]
    found = find_targets([*others, *stage("dev", emulated="else")], "dev", PORTS)
    assert {each.namespace for each in found[2:]} == {"else"}


def test_a_stage_on_aws_gets_nobody_s_emulators() -> None:
    assert [each.what for each in find_targets([*stage("dev"), emulators("apps")], "dev", PORTS)] == ["token", "ingest"]


def test_grafana_is_forwarded_wherever_it_is() -> None:
    grafana = service("prometheus-grafana", "monitoring", {"http-web": 80}, name="grafana")
    found = find_targets([*stage("dev"), grafana], "dev", PORTS)
    assert found[-1] == Target("Grafana", "monitoring", "prometheus-grafana", "http-web", 3000, is_extra=True)


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
