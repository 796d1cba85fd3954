"""The services of a stage, and the ports to which they are forwarded."""

import asyncio
from typing import Any

import pytest

from local.forward import __main__ as forward
from local.forward.__main__ import services_of
from local.forward.kubectl import ForwardError
from local.forward.targets import Found, Target, emulators_namespace, find_targets
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


def emulators(namespace: str = "apps", base: int = 8080, page_of: str = "dev") -> dict[str, Any]:
    ports = {"page": base, "momento-grpc": base + 4, "momento-web": base + 5, "aws": base - 3514}
    made = service("local-emulators", namespace, ports, name="notification-local")
    made["metadata"]["annotations"] = {"notification-api.io/page-stage": page_of}
    return made


def ports_of(found: Found) -> dict[str, int]:
    return {each.what: each.local_port for each in found.targets}


def test_a_stage_has_its_two_services() -> None:
    assert find_targets([*stage("dev"), *stage("other")], "dev", PORTS).targets == (
        Target("token", "apps", "dev-token", "http", 18_081, "/token"),
        Target("ingest", "apps", "dev-ingest", "http", 18_082, "/task"),
    )


def test_without_a_port_base_the_ports_are_those_of_the_emulators() -> None:
    found = find_targets([*stage("dev", emulated="apps"), emulators(base=28_080)], "dev", None)
    assert ports_of(found) == {
        "token": 28_081,
        "ingest": 28_082,
        "application": 28_080,
        "AWS, emulated": 24_566,
        "Momento (gRPC), emulated": 28_084,
        "Momento (web), emulated": 28_085,
    }
    assert found.left_out == ()


def test_a_port_base_moves_everything_of_a_stage() -> None:
    listed = [*stage("one", emulated="apps"), *stage("two", emulated="apps"), emulators(page_of="one")]
    found = find_targets(listed, "two", Ports(9_000))
    assert ports_of(found) == {
        "token": 9_001,
        "ingest": 9_002,
        "AWS, emulated": 5_486,
        "Momento (gRPC), emulated": 9_004,
        "Momento (web), emulated": 9_005,
        "Momento (web) for tokens": 8_085,
    }
    (for_tokens,) = [each for each in found.targets if each.local_port == 8_085]
    assert for_tokens.is_extra
    assert not {each.local_port for each in found.targets if not each.is_extra} & set(
        ports_of(find_targets(listed, "one", None)).values()
    )


@pytest.mark.parametrize("asked", [None, Ports(9_000)])
def test_the_application_of_another_stage_is_left_out(asked: Ports | None) -> None:
    listed = [*stage("one", emulated="apps"), *stage("two", emulated="apps"), emulators(page_of="one")]
    found = find_targets(listed, "two", asked)
    assert "application" not in ports_of(found)
    (reason,) = found.left_out
    assert "the application, which is configured for the stage one (make forward STAGE=one)" in reason
    assert "stages=two" in reason


def test_an_application_with_other_ports_is_left_out() -> None:
    found = find_targets([*stage("dev", emulated="apps"), emulators()], "dev", Ports(9_000))
    assert "application" not in ports_of(found)
    (reason,) = found.left_out
    assert "which uses the ports at 8080" in reason
    assert "portBase=9000" in reason


def test_an_application_with_the_same_port_base_is_forwarded() -> None:
    found = find_targets([*stage("dev", emulated="apps"), emulators(base=9_000)], "dev", Ports(9_000))
    assert ports_of(found)["application"] == 9_000
    assert found.left_out == ()


def test_an_application_without_a_stage_annotation_is_forwarded() -> None:
    older = emulators()
    del older["metadata"]["annotations"]
    assert "application" in ports_of(find_targets([*stage("dev", emulated="apps"), older], "dev", None))


def test_emulators_are_those_that_the_stage_uses() -> None:
    others = [emulators("apps"), emulators("else"), emulators("third")]
    found = find_targets([*others, *stage("dev", emulated="else")], "dev", PORTS)
    assert {each.namespace for each in found.targets[2:]} == {"else"}


def test_a_stage_on_aws_has_no_emulators() -> None:
    assert [each.what for each in find_targets([*stage("dev"), emulators("apps")], "dev", PORTS).targets] == [
        "token",
        "ingest",
    ]


def test_emulators_of_a_stage_may_be_in_another_namespace() -> None:
    assert emulators_namespace([*stage("other", emulated="x"), *stage("dev", emulated="else")], "dev") == "else"
    assert emulators_namespace([*stage("other", emulated="x"), *stage("dev")], "dev") == ""


def test_a_namespace_narrows_the_search_for_the_stage_and_not_for_its_emulators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = [*stage("dev", "apps", emulated="else"), *stage("dev", "else", emulated="else"), emulators("else")]

    async def get(kind: str, option: str, namespace: str) -> dict[str, Any]:
        assert (kind, option) == ("services", "-n")
        return {"items": [each for each in cluster if each["metadata"]["namespace"] == namespace]}

    monkeypatch.setattr(forward, "get", get)
    found = find_targets(asyncio.run(services_of("dev", "apps")), "dev", None)
    assert ports_of(found)["application"] == 8_080
    assert {each.namespace for each in found.targets[:2]} == {"apps"}
    assert found.left_out == ()


def test_missing_emulators_are_reported() -> None:
    found = find_targets(stage("dev", emulated="else"), "dev", PORTS)
    assert len(found.targets) == 2
    assert "http://local-emulators.else.svc:4566" in "".join(found.left_out)


def test_grafana_is_forwarded_wherever_it_is() -> None:
    grafana = service("prometheus-grafana", "monitoring", {"http-web": 80}, name="grafana")
    found = find_targets([*stage("dev"), grafana], "dev", PORTS)
    assert found.targets[-1] == Target("Grafana", "monitoring", "prometheus-grafana", "http-web", 3000, is_extra=True)


def test_a_missing_stage_is_reported_with_the_existing_ones() -> None:
    with pytest.raises(ForwardError, match=r"There is no stage dev in this cluster. Its stages: one, two."):
        find_targets([*stage("two"), *stage("one")], "dev", PORTS)
    with pytest.raises(ForwardError, match="It has no stage: install one with helm"):
        find_targets([], "dev", PORTS)


def test_a_duplicate_stage_is_reported_with_its_namespaces() -> None:
    with pytest.raises(ForwardError, match="NAMESPACE=") as refused:
        find_targets([*stage("dev", "apps"), *stage("dev", "tests")], "dev", PORTS)
    assert "apps/dev-token" in str(refused.value)
    assert "tests/dev-token" in str(refused.value)


def test_a_service_without_labels_is_ignored() -> None:
    bare: dict[str, Any] = {"metadata": {"name": "x", "namespace": "y"}, "spec": {"ports": []}}
    assert len(find_targets([bare, *stage("dev")], "dev", PORTS).targets) == 2
