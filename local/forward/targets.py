"""What of a cluster belongs to a stage, and on which port of this machine it goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from local.forward.errors import ForwardError
from local.ports import Ports

STAGE_LABEL = "notification-api.io/stage"
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
EMULATORS_ANNOTATION = "notification-api.io/emulators"
EMULATORS = "notification-local"
GRAFANA_PORT = 3000
PAGE = "page"


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a Service, and the port here that leads to it."""

    what: str
    namespace: str
    service: str
    port_name: str
    """Of the Service; empty where its only port has no name."""
    local_port: int
    path: str = ""
    """What to put behind the address to see something."""
    is_extra: bool = False
    """The stage is of use without it."""


def find_targets(services: Iterable[Mapping[str, Any]], stage: str, ports: Ports) -> list[Target]:
    """The targets of a stage, from all Services of the cluster.

    Raises ForwardError if there is no such stage, or more than one.
    """
    listed = list(services)
    own = _of_stage(listed, stage)
    emulators = _emulator_targets(each for each in listed if _is_emulator_of(each, own["token"]))
    # The page tells browsers of these ports, which move with its own.
    ports = next((Ports(each.local_port) for each in emulators if each.what == PAGE), ports)
    return [
        _target("token", own["token"], "http", ports.token, "/token"),
        _target("ingest", own["ingest"], "http", ports.ingest, "/task"),
        *emulators,
        *_grafana_targets(listed),
    ]


def _of_stage(services: list[Mapping[str, Any]], stage: str) -> dict[str, Mapping[str, Any]]:
    found = [each for each in services if _label(each, STAGE_LABEL) == stage]
    by_component = {_label(each, COMPONENT_LABEL): each for each in found}
    if not {"token", "ingest"} <= by_component.keys():
        stages = sorted({_label(each, STAGE_LABEL) for each in services} - {""})
        there = f"There are: {', '.join(stages)}." if stages else "There is none: helm install one."
        raise ForwardError(f"There is no stage {stage} in this cluster. {there}")
    if len(found) > len(by_component):
        where = sorted({f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in found})
        raise ForwardError(f"The stage {stage} is there more than once ({', '.join(where)}): say NAMESPACE=…")
    return by_component


def _is_emulator_of(service: Mapping[str, Any], token: Mapping[str, Any]) -> bool:
    """Whether the stage's services call this one, `http://<service>.<namespace>.svc:port`, in AWS' place."""
    metadata = service["metadata"]
    host = urlsplit(token["metadata"].get("annotations", {}).get(EMULATORS_ANNOTATION, "")).hostname or ""
    return _label(service, NAME_LABEL) == EMULATORS and host.split(".")[:2] == [metadata["name"], metadata["namespace"]]


def _emulator_targets(services: Iterable[Mapping[str, Any]]) -> list[Target]:
    """Each on the port that it has in the cluster, since that is in what browsers are told."""
    what = {
        "page": PAGE,
        "aws": "AWS, emulated",
        "momento-grpc": "Momento (gRPC), emulated",
        "momento-web": "Momento (web), emulated",
    }
    return [
        _target(what[port["name"]], service, port["name"], port["port"])
        for service in services
        for port in service["spec"]["ports"]
        if port["name"] in what
    ]


def _grafana_targets(services: list[Mapping[str, Any]]) -> list[Target]:
    found = [each for each in services if _label(each, NAME_LABEL) == "grafana"]
    return [
        replace(_target("Grafana", service, service["spec"]["ports"][0].get("name", ""), GRAFANA_PORT), is_extra=True)
        for service in found[:1]
    ]


def _target(what: str, service: Mapping[str, Any], port_name: str, local_port: int, path: str = "") -> Target:
    metadata = service["metadata"]
    return Target(what, metadata["namespace"], metadata["name"], port_name, local_port, path)


def _label(service: Mapping[str, Any], name: str) -> str:
    return str(service["metadata"].get("labels", {}).get(name, ""))
