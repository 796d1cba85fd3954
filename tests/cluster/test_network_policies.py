"""The charts' NetworkPolicies: pods with the labels of the real ones try to connect to each other."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.cluster.reach import Attempt, Pods, put_policies
from tests.support.cluster.tools import (
    IMAGE,
    IMAGE_TAG,
    ClusterError,
    Namespace,
    fresh_namespace,
    read_text,
    wait_until_sync,
)
from tests.support.helm_charts import LOCAL_CHART, OPERATOR_CHART, Object, named, of_kind, render

pytestmark = pytest.mark.timeout(180)

METADATA, POD_IDENTITY = "169.254.169.254", "169.254.170.23"
EMULATED: Object = {
    "aws": {"emulated": True, "endpointUrl": "http://emulators:4566"},
    "momento": {"endpoint": "http://emulators:8084"},
}
OPERATOR: Object = {"clusterName": "here"}
SERVICES = ("token", "ingest", "processor")
NOT_ENFORCED = (
    "this cluster accepts NetworkPolicies and does not enforce them: use a network plugin that does, such as kind's own"
    " (0.24 and newer), Calico or Cilium"
)


@dataclass(frozen=True)
class Network:
    """`home` has the pods of a stage and of the local stack, `other` has foreign pods."""

    pods: Pods
    home: Namespace
    other: Namespace

    def stage(self, values: Object | None = None) -> list[Object]:
        return of_kind(render(values, namespace=self.home.name), "NetworkPolicy")

    def embedded(self, values: Object | None = None) -> list[Object]:
        objects = render(values, chart=LOCAL_CHART, release="local", namespace=self.home.name)
        return of_kind(objects, "NetworkPolicy")

    def put(self, *home: Sequence[Object], other: Sequence[Object] = ()) -> None:
        put_policies(self.home, [each for group in home for each in group])
        put_policies(self.other, other)


def labels(objects: Sequence[Object], deployment: str) -> dict[str, str]:
    found: dict[str, str] = named(objects, "Deployment", deployment)["spec"]["template"]["metadata"]["labels"]
    return found


def operator_objects(namespace: str, values: Object | None = None) -> list[Object]:
    return render({**OPERATOR, **(values or {})}, chart=OPERATOR_CHART, release="operator", namespace=namespace)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with fresh_namespace() as home, fresh_namespace() as other:
        stage = render(namespace=home.name)
        pods = Pods()
        pods.start(
            home,
            {
                **{name: labels(stage, f"dev-{name}") for name in SERVICES},
                "smoke": named(stage, "Pod", "dev-smoke")["metadata"]["labels"],
                "neighbour": {},
                "emulators": labels(render(chart=LOCAL_CHART, release="local"), "local-emulators"),
            },
        )
        pods.start(
            other,
            {
                "stranger": {},
                "prometheus": {"app.kubernetes.io/name": "prometheus"},
                "operator": labels(operator_objects(other.name), "operator"),
            },
        )
        pods.note_what_is_open(pods.pairs())
        made = Network(pods, home, other)
        must_be_enforced(made)
        yield made


def must_be_enforced(network: Network) -> None:
    deny: Object = {"podSelector": {}, "policyTypes": ["Ingress"]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    network.put([{**kind, "metadata": {"name": "deny"}, "spec": deny}])
    try:
        network.pods.expect([], [Attempt("stranger", "token", 8080)])
    except ClusterError:
        pytest.fail(NOT_ENFORCED, pytrace=False)


def to_each(source: str, port: int, targets: Sequence[str] = SERVICES) -> list[Attempt]:
    return [Attempt(source, target, port) for target in targets if target != source]


def from_each(target: str, port: int, protocol: str = "tcp") -> list[Attempt]:
    return [Attempt(source, target, port, protocol) for source in SERVICES]


def test_the_api_port_is_open_to_all_and_the_operations_port_to_metrics_readers(network: Network) -> None:
    network.put(network.stage())
    clients = ("stranger", "neighbour", "smoke", "prometheus", "operator")
    allowed = [each for client in clients for each in to_each(client, 8080, ("token", "ingest"))]
    allowed += [each for reader in ("prometheus", "operator") for each in to_each(reader, 9090)]
    refused = [each for client in ("stranger", "neighbour", "smoke") for each in to_each(client, 9090)]
    refused += [Attempt(client, "processor", 8080) for client in clients]
    refused += [each for client in clients for each in to_each(client, 5432)]
    network.pods.expect(allowed, refused)


def test_services_reach_only_dns_and_tls_ports_and_not_each_other(network: Network) -> None:
    network.put(network.stage())
    between = [each for service in SERVICES for port in (8080, 9090, 5432) for each in to_each(service, port)]
    others = [each for port in (80, 4566, 5432, 8080, 8084, 9090) for each in from_each("stranger", port)]
    emulators = [each for port in (4566, 8084) for each in from_each("emulators", port)]
    network.pods.expect(
        [*from_each("stranger", 53), *from_each("stranger", 53, "udp"), *from_each("stranger", 443)],
        [*between, *others, *emulators],
    )
    network.home.python("token", "import socket; socket.getaddrinfo('kubernetes.default.svc', 443)")


def test_metrics_are_readable_only_from_the_namespaces_in_ops_from(network: Network) -> None:
    readers = ("prometheus", "operator", "stranger", "neighbour")
    network.put(network.stage({"networkPolicy": {"opsFrom": []}}))
    network.pods.expect(
        to_each("neighbour", 8080, ("token", "ingest")), [each for reader in readers for each in to_each(reader, 9090)]
    )
    other = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.other.name}}}
    network.put(network.stage({"networkPolicy": {"opsFrom": [other]}}))
    network.pods.expect(to_each("stranger", 9090), to_each("neighbour", 9090))


def test_api_from_admits_only_its_peers_and_the_smoke_test(network: Network) -> None:
    other = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.other.name}}}
    network.put(network.stage({"networkPolicy": {"apiFrom": [other]}}))
    apis = ("token", "ingest")
    network.pods.expect(
        [*to_each("stranger", 8080, apis), *to_each("smoke", 8080, apis)],
        [*to_each("neighbour", 8080, apis), *to_each("stranger", 9090)],
    )


def test_only_configured_extra_egress_is_open(network: Network) -> None:
    database = {"to": [{"namespaceSelector": {}, "podSelector": {}}], "ports": [{"port": 5432}]}
    network.put(network.stage({"networkPolicy": {"egress": [database]}}))
    network.pods.expect(from_each("stranger", 5432), [*from_each("stranger", 8080), *from_each("stranger", 9090)])


def test_without_policies_everything_is_open(network: Network) -> None:
    network.put(network.stage({"networkPolicy": {"enabled": False}}))
    network.pods.expect([*to_each("stranger", 9090), *to_each("token", 8080), *from_each("stranger", 5432)], [])


def test_the_embedded_stack_is_reached_only_from_its_namespace(network: Network) -> None:
    network.put(network.stage(EMULATED), network.embedded())
    clients = ("neighbour", *SERVICES)
    network.pods.expect(
        [Attempt(client, "emulators", port) for client in clients for port in (4566, 8084)],
        [Attempt("stranger", "emulators", port) for port in (4566, 8084, 8085, 8080)]
        + [Attempt(client, "emulators", port) for client in clients for port in (8085, 8080, 5432)]
        + [Attempt("emulators", "stranger", port) for port in (53, 443, 5432)],
    )


def test_the_embedded_stack_is_reached_from_the_configured_namespaces(network: Network) -> None:
    network.put(network.embedded({"networkPolicy": {"fromNamespaces": [network.other.name]}}))
    network.pods.expect(
        [Attempt("stranger", "emulators", port) for port in (4566, 8084)],
        [Attempt("neighbour", "emulators", port) for port in (4566, 8084)] + [Attempt("stranger", "emulators", 8085)],
    )


def test_the_operator_reaches_operations_ports_tls_and_the_api_server(network: Network) -> None:
    policies = of_kind(operator_objects(network.other.name), "NetworkPolicy")
    network.put(
        network.stage(), network.embedded({"networkPolicy": {"fromNamespaces": [network.other.name]}}), other=policies
    )
    allowed = [*to_each("operator", 9090), Attempt("prometheus", "operator", 9090)]
    allowed += [Attempt("operator", "kubernetes.default.svc", 443), Attempt("operator", "stranger", 443)]
    allowed += [Attempt("operator", "stranger", 53), Attempt("operator", "stranger", 53, "udp")]
    refused = [*to_each("operator", 8080, ("token", "ingest")), Attempt("operator", "neighbour", 9090)]
    refused += [Attempt("operator", "stranger", port) for port in (80, 5432)]
    refused += [Attempt("operator", "emulators", port) for port in (4566, 8084)]
    refused += [Attempt(source, "operator", port) for source in ("stranger", "token") for port in (9090, 9091)]
    network.pods.expect(allowed, refused)


def test_the_operator_reaches_emulators_where_it_uses_them(network: Network) -> None:
    policies = of_kind(operator_objects(network.other.name, EMULATED), "NetworkPolicy")
    network.put(network.embedded({"networkPolicy": {"fromNamespaces": [network.other.name]}}), other=policies)
    network.pods.expect(
        [Attempt("operator", "emulators", port) for port in (4566, 8084)], [Attempt("operator", "emulators", 8085)]
    )


def administrator(name: str, *arguments: str, host_network: bool = False) -> Object:
    """A pod that may change addresses and routes."""
    image = f"{IMAGE}:{IMAGE_TAG}"
    script = read_text("reach_addresses.py")
    rights: Object = {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}}
    changes: Object = {
        "name": "changes",
        "image": image,
        "command": ["python", "-c", script, *arguments],
        "securityContext": rights,
    }
    ports = ("tcp:80", "tcp:443")
    listens: Object = {
        "name": "listens",
        "image": image,
        "command": ["python", "-c", read_text("reach_listener.py"), *ports],
        "securityContext": {"runAsUser": 0},
    }
    spec: Object = {"initContainers": [changes], "containers": [listens], "terminationGracePeriodSeconds": 0}
    if host_network:
        spec = {"hostNetwork": True, "containers": [changes], "terminationGracePeriodSeconds": 20}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def link_local(network: Network) -> Iterator[Network]:
    """A stub of the instance metadata service and of Pod Identity's agent, behind a route of the node."""
    addresses = (METADATA, POD_IDENTITY)
    with ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace({"pod-security.kubernetes.io/enforce": "privileged"}))
        namespace.apply(administrator("metadata", "here", *addresses))
        namespace.kubectl("wait", "pod", "metadata", "--for=condition=Ready", "--timeout=60s")
        gateway = namespace.get("pod", "metadata")["status"]["podIP"]
        stack.callback(namespace.kubectl, "delete", "pod", "routes", "--ignore-not-found")
        namespace.apply(administrator("routes", "via", gateway, *addresses, host_network=True))
        wait_until_sync(lambda: "ready" in namespace.kubectl("logs", "routes", "--ignore-errors"), "routes to the stub")
        network.put()
        sources = (*SERVICES, "operator")
        network.pods.note_what_is_open(
            [Attempt(source, address, port) for source in sources for address in addresses for port in (80, 443)]
        )
        yield network


def test_the_instance_metadata_service_is_blocked_and_pod_identity_is_not(link_local: Network) -> None:
    network = link_local
    network.put(network.stage(), other=of_kind(operator_objects(network.other.name), "NetworkPolicy"))
    sources = (*SERVICES, "operator")
    network.pods.expect(
        [Attempt(source, POD_IDENTITY, 80) for source in sources],
        [Attempt(source, METADATA, port) for source in sources for port in (80, 443)]
        + [Attempt(source, POD_IDENTITY, 443) for source in sources],
    )
