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
PAGE_STAGE_ANNOTATION = "notification-api.io/page-stage"
GRAFANA_PORT = 3000
PAGE = "page"
MOMENTO_WEB = "momento-web"
_ANOTHER_STAGE = (
    "the page belongs to the stage {owner} (make forward STAGE={owner}). For a page of {stage}, give the stage an "
    "embedded stack of its own: helm install a second charts/notification-local with stages={stage} and another "
    "portBase, then install the stage again with the values that it prints"
)
_OTHER_PORTS = (
    "the page names the ports at {base} to browsers, and LOCAL_PORT_BASE asks for those at {wanted}. Leave "
    "LOCAL_PORT_BASE out, or set portBase={wanted} in charts/notification-local and install the stage again with the "
    "values that it prints"
)
_NOT_THERE = (
    "page and emulators: the stage calls {url} in AWS' place, and no Service of charts/notification-local of that "
    "name is found"
)
_TAKEN_BY_OTHER_FORWARD = "Tokens of this stage name it: what has it must be a forward of the same embedded stack"


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
    if_taken: str = ""
    """What to say where the port is taken; empty: to stop what has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What of the cluster is forwarded for a stage, and what is not, with the reason and what to do."""

    targets: tuple[Target, ...]
    left_out: tuple[str, ...] = ()


def find_targets(services: Iterable[Mapping[str, Any]], stage: str, asked: Ports | None) -> Found:
    """The targets of a stage, from all Services of the cluster.

    `asked` are the ports of LOCAL_PORT_BASE; without it, those that the emulators name to browsers, or the usual ones.
    Raises ForwardError if there is no such stage, or more than one.
    """
    listed = list(services)
    own = _of_stage(listed, stage)
    emulators = next((each for each in listed if _is_emulator_of(each, own["token"])), None)
    named = _named_ports(emulators)
    ports = asked or named or Ports()
    emulated, left_out = _emulator_targets(emulators, stage, ports)
    url = _emulators_url(own["token"])
    if url and not emulators:
        left_out = (_NOT_THERE.format(url=url),)
    targets = (
        _target("token", own["token"], "http", ports.token, "/token"),
        _target("ingest", own["ingest"], "http", ports.ingest, "/task"),
        *emulated,
        *_grafana_targets(listed),
    )
    return Found(targets, left_out)


def emulators_namespace(services: Iterable[Mapping[str, Any]], stage: str) -> str:
    """Where the emulators of a stage are, which may be another namespace than its own; empty where it has none."""
    hosts = [urlsplit(_emulators_url(each)).hostname or "" for each in services if _label(each, STAGE_LABEL) == stage]
    return next((host.split(".")[1] for host in hosts if "." in host), "")


def is_emulators(service: Mapping[str, Any]) -> bool:
    """Whether this is a Service of charts/notification-local."""
    return _label(service, NAME_LABEL) == EMULATORS


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
    host = urlsplit(_emulators_url(token)).hostname or ""
    return is_emulators(service) and host.split(".")[:2] == [metadata["name"], metadata["namespace"]]


def _emulators_url(service: Mapping[str, Any]) -> str:
    return str(service["metadata"].get("annotations", {}).get(EMULATORS_ANNOTATION, ""))


def _named_ports(emulators: Mapping[str, Any] | None) -> Ports | None:
    """The ports that the emulators name to browsers: those of their Service, which move together."""
    listed = emulators["spec"]["ports"] if emulators else []
    return next((Ports(port["port"]) for port in listed if port["name"] == PAGE), None)


def _emulator_targets(
    emulators: Mapping[str, Any] | None, stage: str, ports: Ports
) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Their targets, and what is left out: the page works for one stage, and on the ports that it names to browsers."""
    named = _named_ports(emulators)
    if emulators is None or named is None:
        return (), ()
    targets = [
        _target("AWS, emulated", emulators, "aws", ports.aws),
        _target("Momento (gRPC), emulated", emulators, "momento-grpc", ports.momento_grpc),
        _target("Momento (web), emulated", emulators, MOMENTO_WEB, ports.momento_web),
    ]
    if ports != named:
        # The stage's tokens name this port, whatever LOCAL_PORT_BASE is.
        target = _target("Momento (web) for tokens", emulators, MOMENTO_WEB, named.momento_web)
        targets.append(replace(target, is_extra=True, if_taken=_TAKEN_BY_OTHER_FORWARD))
    owner = (emulators["metadata"].get("annotations") or {}).get(PAGE_STAGE_ANNOTATION, stage)
    if owner != stage:
        return tuple(targets), (_ANOTHER_STAGE.format(owner=owner, stage=stage),)
    if ports != named:
        return tuple(targets), (_OTHER_PORTS.format(base=named.base, wanted=ports.base),)
    return (_target(PAGE, emulators, PAGE, ports.page), *targets), ()


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
