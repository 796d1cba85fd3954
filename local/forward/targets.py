"""Which Services of a cluster belong to a stage, and the port of this machine for each. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from local.forward.kubectl import ForwardError
from local.page.api import SERVICES
from local.ports import Ports

STAGE_LABEL = "notification-api.io/stage"
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
EMULATORS_ANNOTATION = "notification-api.io/emulators"
EMULATORS = "notification-local"
PAGE_STAGE_ANNOTATION = "notification-api.io/page-stage"
GRAFANA_PORT = 3000
PAGE = "page"
MOMENTO_WEB = "momento-web"
_ANOTHER_STAGE = (
    "the application, which is configured for the stage {owner} (make forward STAGE={owner}). For one of {stage}, "
    "install a second charts/notification-local with stages={stage} and another portBase, then install the stage again "
    "with the values that it prints"
)
_OTHER_PORTS = (
    "the application, which uses the ports at {base}, while LOCAL_PORT_BASE is {wanted}. Omit LOCAL_PORT_BASE, or set "
    "portBase={wanted} in charts/notification-local and install the stage again with the values that it prints"
)
_NOT_FOUND = (
    "application and emulators: the stage uses {url} as AWS, and no Service of charts/notification-local has that name"
)
_USED_BY_OTHER_FORWARD = "Tokens of this stage contain this port: it must be a forward of the same local stack"


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a Service, and the port of this machine that leads to it."""

    what: str
    namespace: str
    service: str
    port_name: str
    """The name of the Service's port; empty if its only port has no name."""
    local_port: int
    path: str = ""
    """The path to show after the address."""
    is_extra: bool = False
    """Whether the stage can be used without it."""
    if_in_use: str = ""
    """The message if the port is in use; empty for the default."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is forwarded for a stage, and what is not, with the reason and what to do."""

    targets: tuple[Target, ...]
    left_out: tuple[str, ...] = ()


def find_targets(services: Iterable[Mapping[str, Any]], stage: str, requested: Ports | None) -> Found:
    """Find the targets of a stage among all Services of the cluster.

    :param requested: the ports of LOCAL_PORT_BASE; if None, those of the emulators, or the default ones.
    :raises ForwardError: when there is no such stage, or more than one.
    """
    listed = list(services)
    own = _of_stage(listed, stage)
    emulators = next((each for each in listed if _is_emulator_of(each, own["token"])), None)
    named = _named_ports(emulators)
    ports = requested or named or Ports()
    emulated, left_out = _emulator_targets(emulators, stage, ports)
    url = _emulators_url(own["token"])
    if url and not emulators:
        left_out = (_NOT_FOUND.format(url=url),)
    targets = (
        _target("token", own["token"], "http", ports.token, "/token"),
        _target("ingest", own["ingest"], "http", ports.ingest, "/task"),
        *emulated,
        *_grafana_targets(listed),
    )
    return Found(targets, left_out)


def emulators_namespace(services: Iterable[Mapping[str, Any]], stage: str) -> str:
    """Return the namespace of a stage's emulators, which may be another than its own; empty if it has none."""
    hosts = [urlsplit(_emulators_url(each)).hostname or "" for each in services if _label(each, STAGE_LABEL) == stage]
    return next((host.split(".")[1] for host in hosts if "." in host), "")


def is_emulators(service: Mapping[str, Any]) -> bool:
    """Whether this is a Service of charts/notification-local."""
    return _label(service, NAME_LABEL) == EMULATORS


def _of_stage(services: list[Mapping[str, Any]], stage: str) -> dict[str, Mapping[str, Any]]:
    found = [each for each in services if _label(each, STAGE_LABEL) == stage]
    by_component = {_label(each, COMPONENT_LABEL): each for each in found}
    if not by_component.keys() >= SERVICES:
        stages = sorted({_label(each, STAGE_LABEL) for each in services} - {""})
        there = f"Its stages: {', '.join(stages)}." if stages else "It has no stage: install one with helm."
        raise ForwardError(f"There is no stage {stage} in this cluster. {there}")
    if len(found) > len(by_component):
        where = sorted({f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in found})
        raise ForwardError(f"There is more than one stage {stage} ({', '.join(where)}): set NAMESPACE=…")
    return by_component


def _is_emulator_of(service: Mapping[str, Any], token: Mapping[str, Any]) -> bool:
    """Whether the stage's services use this Service, `http://<service>.<namespace>.svc:port`, as AWS."""
    metadata = service["metadata"]
    host = urlsplit(_emulators_url(token)).hostname or ""
    return is_emulators(service) and host.split(".")[:2] == [metadata["name"], metadata["namespace"]]


def _emulators_url(service: Mapping[str, Any]) -> str:
    return str(service["metadata"].get("annotations", {}).get(EMULATORS_ANNOTATION, ""))


def _named_ports(emulators: Mapping[str, Any] | None) -> Ports | None:
    """Return the ports that the application uses: those of the emulators' Service."""
    listed = emulators["spec"]["ports"] if emulators else []
    return next((Ports(port["port"]) for port in listed if port["name"] == PAGE), None)


def _emulator_targets(
    emulators: Mapping[str, Any] | None, stage: str, ports: Ports
) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Return the emulators' targets, and what is left out: the application works for one stage, on its own ports."""
    named = _named_ports(emulators)
    if emulators is None or named is None:
        return (), ()
    targets = [
        _target("AWS, emulated", emulators, "aws", ports.aws),
        _target("Momento (gRPC), emulated", emulators, "momento-grpc", ports.momento_grpc),
        _target("Momento (web), emulated", emulators, MOMENTO_WEB, ports.momento_web),
    ]
    if ports != named:
        # The stage's tokens contain this port, whatever LOCAL_PORT_BASE is.
        target = _target("Momento (web) for tokens", emulators, MOMENTO_WEB, named.momento_web)
        targets.append(replace(target, is_extra=True, if_in_use=_USED_BY_OTHER_FORWARD))
    owner = (emulators["metadata"].get("annotations") or {}).get(PAGE_STAGE_ANNOTATION, stage)
    if owner != stage:
        return tuple(targets), (_ANOTHER_STAGE.format(owner=owner, stage=stage),)
    if ports != named:
        return tuple(targets), (_OTHER_PORTS.format(base=named.base, wanted=ports.base),)
    return (_target("application", emulators, PAGE, ports.page), *targets), ()


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
