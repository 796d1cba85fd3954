"""NetworkPolicies, Ingress and HTTPRoute, and the AWS permissions of docs/iam."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.helm_charts import (
    GATEWAY_API,
    LOCAL_CHART,
    OPERATOR_CHART,
    ROOT,
    STAGE_CHART,
    Object,
    containers,
    named,
    of_kind,
    pod_specs,
    refusal,
    render,
)

pytestmark = pytest.mark.helm


EMULATED: Object = {"aws": {"emulated": True, "endpointUrl": "http://local-emulators.stages.svc:4566"}}
HOST = "api.example.com"


def policies(values: Object | None = None) -> dict[str, Object]:
    return {each["metadata"]["name"]: each["spec"] for each in of_kind(render(values or {}), "NetworkPolicy")}


def test_everything_is_denied_by_default() -> None:
    deny = policies()["dev-deny-all"]
    assert sorted(deny["policyTypes"]) == ["Egress", "Ingress"]
    assert not {"ingress", "egress"} & deny.keys()
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind(render(), "Deployment")]
    labels.append(named(render(), "Pod", "dev-smoke")["metadata"]["labels"])
    assert all(deny["podSelector"]["matchLabels"].items() <= each.items() for each in labels)


def test_egress_is_dns_tls_and_pod_identity() -> None:
    allowed = [
        (port.get("protocol"), port["port"]) for rule in policies()["dev-egress"]["egress"] for port in rule["ports"]
    ]
    assert allowed == [("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 80)]


def test_the_instance_metadata_service_is_blocked() -> None:
    operator = of_kind(render({"clusterName": "here"}, chart=OPERATOR_CHART, release="operator"), "NetworkPolicy")
    assert operator
    for policy in (policies()["dev-egress"], *(each["spec"] for each in operator)):
        tls = policy["egress"][1]
        assert "169.254.0.0/16" in tls["to"][0]["ipBlock"]["except"]
        assert "fd00:ec2::/32" in tls["to"][1]["ipBlock"]["except"]


def test_egress_to_emulators_exists_only_where_they_are_used() -> None:
    assert len(policies()["dev-egress"]["egress"]) + 1 == len(policies(EMULATED)["dev-egress"]["egress"])
    rule = policies(EMULATED)["dev-egress"]["egress"][-1]
    (service,) = of_kind(render(chart=LOCAL_CHART, release="local"), "Service")
    assert rule["to"][0]["podSelector"]["matchLabels"].items() <= service["spec"]["selector"].items()


BOTH: Object = {
    "aws": {"emulated": True, "endpointUrl": "http://local-emulators.stages.svc:16486/"},
    "momento": {"endpoint": "http://local-emulators.stages.svc:20004"},
}


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        (EMULATED, [4566]),
        (BOTH, [16486, 20004]),
        ({"momento": BOTH["momento"]}, [20004]),
        ({"aws": {"emulated": True, "endpointUrl": "http://aws"}}, [80]),
        ({"aws": {"emulated": True, "endpointUrl": "https://[fd00::1]/aws:7"}}, [443]),
        ({"aws": {"emulated": True, "endpointUrl": "http://[fd00::1]:4566"}}, [4566]),
    ],
    ids=str,
)
def test_the_emulators_ports_are_those_of_their_urls(values: Object, ports: list[int]) -> None:
    assert [each["port"] for each in policies(values)["dev-egress"]["egress"][-1]["ports"]] == ports
    named_cluster = {"clusterName": "here", **values}
    policy = named(render(named_cluster, chart=OPERATOR_CHART, release="operator"), "NetworkPolicy", "operator")
    assert [each["port"] for each in policy["spec"]["egress"][-1]["ports"]] == ports


def test_egress_of_stages_matches_ingress_of_the_embedded_stack() -> None:
    objects = render({"portBase": 20000}, chart=LOCAL_CHART, release="local")
    (policy,) = of_kind(objects, "NetworkPolicy")
    ((_, spec),) = pod_specs(objects)
    container_ports = {
        port["name"]: port["containerPort"] for each in containers(spec) for port in each.get("ports", [])
    }
    allowed = [each["port"] for each in policy["spec"]["ingress"][0]["ports"]]
    assert allowed == [container_ports["aws"], container_ports["momento-grpc"]] == [16486, 20004]


RENDERINGS: list[Any] = [
    (STAGE_CHART, {}),
    (STAGE_CHART, EMULATED),
    (STAGE_CHART, BOTH),
    (STAGE_CHART, {"networkPolicy": {"apiFrom": [{"podSelector": {}}], "opsFrom": []}}),
    (STAGE_CHART, {"networkPolicy": {"egress": [{"ports": [{"port": 5432}]}, {"to": [{"podSelector": {}}]}]}}),
    (LOCAL_CHART, {}),
    (LOCAL_CHART, {"portBase": 64532, "networkPolicy": {"fromNamespaces": ["a", "b"]}}),
    (OPERATOR_CHART, {"clusterName": "here"}),
    (OPERATOR_CHART, {"clusterName": "here", **BOTH}),
    (OPERATOR_CHART, {"clusterName": "here", "networkPolicy": {"apiServerPorts": [8443], "opsFrom": []}}),
]


@pytest.mark.parametrize(("chart", "values"), RENDERINGS, ids=str)
def test_every_port_in_a_policy_is_a_number(chart: Path, values: Object) -> None:
    rules = [
        rule
        for policy in of_kind(render(values, chart=chart), "NetworkPolicy")
        for rule in (policy["spec"].get("ingress") or []) + (policy["spec"].get("egress") or [])
    ]
    ports = [each["port"] for rule in rules for each in rule.get("ports", [])]
    assert ports
    assert not [each for each in ports if type(each) is not int or not 1 <= each <= 65535]


@pytest.mark.parametrize("chart", [STAGE_CHART, OPERATOR_CHART], ids=lambda chart: chart.name)
@pytest.mark.parametrize("port", ["postgres", "5432"])
def test_egress_to_a_named_port_is_refused(chart: Path, port: str) -> None:
    values = {"clusterName": "here"} if chart == OPERATOR_CHART else {}
    rule = {"ports": [{"protocol": "TCP", "port": port}]}
    sentence = f'networkPolicy.egress has the port "{port}": use its number'
    assert sentence in refusal({**values, "networkPolicy": {"egress": [rule]}}, chart=chart)


@pytest.mark.parametrize("chart", [STAGE_CHART, OPERATOR_CHART], ids=lambda chart: chart.name)
@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"ports": [5432]}, "egress/0/ports/0': got number, want object"),
        ({"ports": 5432}, "egress/0/ports': got number, want array"),
        (5432, "egress/0': got number, want object"),
    ],
)
def test_malformed_egress_is_refused(chart: Path, rule: Any, sentence: str) -> None:
    values = {"clusterName": "here"} if chart == OPERATOR_CHART else {}
    assert sentence in refusal({**values, "networkPolicy": {"egress": [rule]}}, chart=chart)


@pytest.mark.parametrize("chart", [STAGE_CHART, OPERATOR_CHART], ids=lambda chart: chart.name)
@pytest.mark.parametrize("url", ["http://aws:", "http://aws:http", "http://aws:0", "http://aws:65536", "http://:4566"])
def test_a_url_with_an_invalid_port_is_refused(chart: Path, url: str) -> None:
    values = {"clusterName": "here"} if chart == OPERATOR_CHART else {}
    sentence = f'aws.endpointUrl "{url}" needs a host and, if it names a port, one from 1 to 65535'
    assert sentence in refusal({**values, "aws": {"emulated": True, "endpointUrl": url}}, chart=chart)


@pytest.mark.parametrize("chart", [STAGE_CHART, OPERATOR_CHART], ids=lambda chart: chart.name)
def test_a_momento_endpoint_with_an_invalid_port_is_refused(chart: Path) -> None:
    values = {"clusterName": "here"} if chart == OPERATOR_CHART else {}
    assert 'momento.endpoint "http://momento:70000"' in refusal(
        {**values, "momento": {"endpoint": "http://momento:70000"}}, chart=chart
    )


def test_the_processor_accepts_ingress_for_metrics_only() -> None:
    api = policies()["dev-api"]
    assert api["podSelector"]["matchExpressions"][0]["values"] == ["token", "ingest"]
    (rule,) = policies()["dev-ops"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9090}]
    assert rule["from"]


def test_ingress_to_the_api_can_be_restricted() -> None:
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    (rule,) = policies({"networkPolicy": {"apiFrom": [ingress]}})["dev-api"]["ingress"]
    assert rule["from"][0] == ingress
    assert rule["from"][1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert "from" not in policies()["dev-api"]["ingress"][0]


def test_metrics_are_closed_where_no_peer_is_named() -> None:
    assert "ingress" not in policies({"networkPolicy": {"opsFrom": []}})["dev-ops"]


def test_egress_can_be_extended_and_policies_disabled() -> None:
    database = {"ports": [{"protocol": "TCP", "port": 5432}]}
    assert database in policies({"networkPolicy": {"egress": [database]}})["dev-egress"]["egress"]
    assert policies({"networkPolicy": {"enabled": False}}) == {}


def test_ports_in_policies_are_ports_of_the_pods() -> None:
    pods = {
        port["containerPort"]
        for _, spec in pod_specs(render())
        for container in containers(spec)
        for port in container.get("ports", [])
    }
    used = {port["port"] for spec in policies().values() for rule in spec.get("ingress", []) for port in rule["ports"]}
    assert used == pods == {8080, 9090}


def test_the_embedded_stack_has_no_egress() -> None:
    (policy,) = of_kind(render(chart=LOCAL_CHART, release="local"), "NetworkPolicy")
    assert policy["spec"]["egress"] == []
    assert sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
    assert policy["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_ingress_and_route_are_disabled_by_default() -> None:
    assert not {"Ingress", "HTTPRoute"} & {each["kind"] for each in render()}


def test_an_ingress_has_one_host_for_both_services() -> None:
    (ingress,) = of_kind(render({"ingress": {"enabled": True, "host": HOST, "tlsSecretName": "cert"}}), "Ingress")
    (rule,) = ingress["spec"]["rules"]
    backends = {(path["pathType"], path["path"]): path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert backends == {
        ("Exact", "/task"): "dev-ingest",
        ("Prefix", "/task/"): "dev-token",
        ("Prefix", "/notifications"): "dev-token",
        ("Exact", "/token"): "dev-token",
        ("Exact", "/openapi.json"): "dev-token",
    }
    assert rule["host"] == HOST
    assert ingress["spec"]["tls"] == [{"hosts": [HOST], "secretName": "cert"}]


def test_a_route_has_the_same_paths_as_the_ingress() -> None:
    parents = [{"name": "gateway", "namespace": "gateways"}]
    values = {"httpRoute": {"enabled": True, "host": HOST, "parentRefs": parents}}
    (route,) = of_kind(render(values, apis=[GATEWAY_API]), "HTTPRoute")
    backends = {
        (match["path"]["type"], match["path"]["value"]): rule["backendRefs"][0]["name"]
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    }
    assert backends == {
        ("Exact", "/task"): "dev-ingest",
        ("PathPrefix", "/task/"): "dev-token",
        ("PathPrefix", "/notifications"): "dev-token",
        ("Exact", "/token"): "dev-token",
        ("Exact", "/openapi.json"): "dev-token",
    }
    assert (route["spec"]["hostnames"], route["spec"]["parentRefs"]) == ([HOST], parents)


REQUESTS = {
    "/task": "dev-ingest",
    "/task/0d7f09a7": "dev-token",
    "/task/0d7f09a7/result": "dev-token",
    "/task/0d7f09a7/cancel": "dev-token",
    "/tasks": None,
    "/notifications": "dev-token",
    "/notifications/read": "dev-token",
    "/token": "dev-token",
    "/token/x": None,
    "/openapi.json": "dev-token",
    "/": None,
    "/metrics": None,
}


Routes = dict[tuple[str, str], str]
"""The Service of each kind of match (Exact, Prefix) and path."""


def ingress_routes() -> Routes:
    (ingress,) = of_kind(render({"ingress": {"enabled": True, "host": HOST}}), "Ingress")
    (rule,) = ingress["spec"]["rules"]
    return {(path["pathType"], path["path"]): path["backend"]["service"]["name"] for path in rule["http"]["paths"]}


def http_routes() -> Routes:
    values = {"httpRoute": {"enabled": True, "host": HOST, "parentRefs": [{"name": "gateway"}]}}
    (route,) = of_kind(render(values, apis=[GATEWAY_API]), "HTTPRoute")
    return {
        (match["path"]["type"].removeprefix("Path"), match["path"]["value"]): rule["backendRefs"][0]["name"]
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    }


def has_prefix(path: str, prefix: str) -> bool:
    """Both APIs compare element by element and ignore a slash at the end."""
    return f"{path}/".startswith(f"{prefix.rstrip('/')}/")


@pytest.mark.parametrize("routes", [ingress_routes, http_routes])
@pytest.mark.parametrize(("path", "service"), REQUESTS.items())
def test_a_request_reaches_the_service_of_its_route(
    routes: Callable[[], Routes], path: str, service: str | None
) -> None:
    """An exact match comes first, then the longest prefix."""
    by_match = routes()
    prefixes = [value for kind, value in by_match if kind == "Prefix" and has_prefix(path, value)]
    by_prefix = by_match.get(("Prefix", max(prefixes, key=len, default="")))
    assert by_match.get(("Exact", path), by_prefix) == service


CALLED = {
    "send_message_batch": "sqs:SendMessage",
    "receive_message": "sqs:ReceiveMessage",
    "delete_message_batch": "sqs:DeleteMessage",
    "change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "get_parameter": "ssm:GetParameter",
    "start_message_move_task": "sqs:StartMessageMoveTask",
    "list_message_move_tasks": "sqs:ListMessageMoveTasks",
    "cancel_message_move_task": "sqs:CancelMessageMoveTask",
}
"""Batch calls have no permission of their own (SQS API permissions reference)."""
BY_PEOPLE = "dead_letters"
"""A command that a person runs with their own permissions: docs/iam/dead-letters.json."""
_CALL = re.compile(r"(?:_client|_ssm|client)\.([a-z]+_[a-z_]+)\(")


def allowed(service: str) -> set[str]:
    policy: Any = json.loads((ROOT / "docs" / "iam" / f"{service}.json").read_text())
    actions: set[str] = set()
    for statement in policy["Statement"]:
        assert "*" not in json.dumps(statement), statement["Sid"]
        action = statement["Action"]
        actions |= {action} if isinstance(action, str) else set(action)
    return actions


def test_the_policies_allow_what_is_called_and_nothing_else() -> None:
    called = {
        CALLED[call]
        for file in (ROOT / "services").rglob("*.py")
        if file.parent.name != BY_PEOPLE
        for call in _CALL.findall(file.read_text())
        if call in CALLED
        or call.startswith(("send_", "receive_", "delete_", "change_", "get_q", "get_p", "list_", "put_"))
    }
    everything = allowed("token") | allowed("ingest") | allowed("processor")
    assert everything == called | {"kms:Decrypt"}


def test_the_policy_for_people_allows_what_the_dead_letter_command_calls_and_nothing_else() -> None:
    services = ROOT / "services"
    files = [
        services / "common" / "aws" / "task_queue.py",
        *(services / "processor" / BY_PEOPLE).glob("*.py"),
    ]
    assert allowed("dead-letters") == {CALLED[call] for file in files for call in _CALL.findall(file.read_text())}


def test_no_instruction_runs_the_dead_letter_command_with_a_services_rights() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if re.search(r"exec .*dead_letters", page.read_text())]


def test_each_service_has_only_the_permissions_that_it_needs() -> None:
    assert allowed("token") == {"ssm:GetParameter", "kms:Decrypt"}
    assert allowed("ingest") == {"sqs:SendMessage", "sqs:GetQueueAttributes"}
    assert "sqs:DeleteMessage" not in allowed("token") | allowed("ingest")


@pytest.mark.parametrize("service", ["token", "ingest", "processor"])
def test_notes_and_values_name_policies_that_exist(service: str) -> None:
    assert (ROOT / "docs" / "iam" / f"{service}.json").is_file()
    assert f"docs/iam/{service}.json" in (ROOT / "charts/notification-api/values.yaml").read_text()
