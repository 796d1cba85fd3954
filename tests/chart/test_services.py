"""The three services: probes, drains, selectors, replicas, settings."""

import importlib
import json
import os
import re
from typing import Any

import pytest

from services.common.settings import load
from tests.support.helm_charts import MONITORING_APIS, ROOT, STAGE_CHART, Object, environment, named, of_kind, render

pytestmark = pytest.mark.helm


SERVICES = ("token", "ingest", "processor")
SET_BY_THE_CHART = {
    *("SERVICE_NAME", "STAGE_NAME", "LOG_LEVEL", "HOST", "PORT", "OPS_PORT", "ALLOWED_ORIGINS"),
    *("SHUTDOWN_DELAY_SECONDS", "SHUTDOWN_GRACE_SECONDS", "OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL"),
    *("MOMENTO_API_KEY_PARAM_NAME", "MOMENTO_CACHE_NAME", "MOMENTO_ENDPOINT", "MOMENTO_WEB_ENDPOINT"),
    *("TASK_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    "TASK_TYPES",
    "ALLOWED_HOSTS",  # on a laptop only: in a cluster any host is served
}


def deployment(objects: list[Object], component: str) -> Object:
    return named(objects, "Deployment", f"dev-{component}")


def container(objects: list[Object], component: str) -> Object:
    found: Object = deployment(objects, component)["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("component", SERVICES)
def test_probes_use_the_operations_port(component: str) -> None:
    it = container(render(), component)
    probed = {kind: it[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {get["port"] for get in probed.values()} == {"ops"}
    assert [probed[kind]["path"] for kind in ("startup", "liveness", "readiness")] == ["/livez", "/livez", "/readyz"]
    assert {"name": "ops", "containerPort": 9090} in it["ports"]
    assert environment(render(), component)["OPS_PORT"] == "9090"


def test_only_the_api_services_have_a_request_port() -> None:
    objects = render()
    assert {"name": "http", "containerPort": 8080} in container(objects, "token")["ports"]
    assert [port["name"] for port in container(objects, "processor")["ports"]] == ["ops"]
    assert {each["metadata"]["name"] for each in of_kind(objects, "Service")} == {"dev-token", "dev-ingest"}
    assert all(port["name"] == "http" for each in of_kind(objects, "Service") for port in each["spec"]["ports"])


@pytest.mark.parametrize("component", SERVICES)
def test_a_drain_ends_before_the_pod_is_killed(component: str) -> None:
    objects = render({"shutdown": {"delaySeconds": 7, "graceSeconds": 11, "processorGraceSeconds": 40}})
    settings = environment(objects, component)
    longest = float(settings["SHUTDOWN_GRACE_SECONDS"]) + float(settings.get("SHUTDOWN_DELAY_SECONDS", 0))
    killed_after = deployment(objects, component)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert killed_after >= longest + 5
    assert longest == (40 if component == "processor" else 18)


def test_the_chart_does_not_set_the_processors_replicas() -> None:
    objects = render()
    assert "replicas" not in deployment(objects, "processor")["spec"]
    assert deployment(objects, "token")["spec"]["replicas"] == 2


@pytest.mark.parametrize(("replicas", "shared_by"), [(3, "3"), (1, "1"), (0, "1")])
def test_the_vending_quota_is_shared_among_the_replicas(replicas: int, shared_by: str) -> None:
    assert environment(render({"token": {"replicas": replicas}}), "token")["VENDING_REPLICAS"] == shared_by


def test_an_autoscaler_can_set_the_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"token": {"maxReplicas": 6}, "ingest": {"replicas": None, "maxReplicas": 10}}
    objects = render(values, apis=MONITORING_APIS)
    assert "replicas" not in deployment(objects, "token")["spec"]
    assert "replicas" not in deployment(objects, "ingest")["spec"]
    for component in ("token", "ingest"):
        for name, value in environment(objects, component).items():
            monkeypatch.setenv(name, value)
        load(importlib.import_module(f"services.{component}.settings").read_settings)
    assert environment(objects, "token")["VENDING_REPLICAS"] == "6"
    rules = json.dumps(of_kind(objects, "PrometheusRule"))
    for component in ("token", "ingest"):
        assert re.search(rf'absent\(up\{{[^}}]*service=\\"{component}\\"', rules), component


@pytest.mark.parametrize("component", SERVICES)
def test_selectors_match_their_own_pods_alone(component: str) -> None:
    objects = render()
    mine = deployment(objects, component)
    labels = mine["spec"]["template"]["metadata"]["labels"]
    selectors = [mine["spec"]["selector"]["matchLabels"]]
    selectors += [named(objects, "PodDisruptionBudget", f"dev-{component}")["spec"]["selector"]["matchLabels"]]
    selectors += [
        each["labelSelector"]["matchLabels"] for each in mine["spec"]["template"]["spec"]["topologySpreadConstraints"]
    ]
    if component != "processor":
        selectors.append(named(objects, "Service", f"dev-{component}")["spec"]["selector"])
    others = [
        each["spec"]["template"]["metadata"]["labels"]
        for release in ("dev", "other")
        for each in of_kind(render(release=release), "Deployment")
        if each["metadata"]["name"] != f"dev-{component}"
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not [other for other in others if selector.items() <= other.items()]


@pytest.mark.parametrize("component", SERVICES)
def test_a_changed_setting_restarts_only_its_own_pods(component: str) -> None:
    changes: dict[str, Object] = {
        "token": {"token": {"settings": {"TOKEN_VALID_SECONDS": 900}}},
        "ingest": {"ingest": {"settings": {"TASKS_PER_MINUTE": 60}}},
        "processor": {"processor": {"settings": {"CONCURRENCY": 5}}},
    }
    before, after = render(), render(changes[component])
    templates = {each: [deployment(when, each)["spec"]["template"] for when in (before, after)] for each in SERVICES}
    assert [each for each, (old, new) in templates.items() if old != new] == [component]


def test_changed_resources_restart_the_pods() -> None:
    before, after = render(), render({"momento": {"cacheName": "another"}})
    assert deployment(before, "token")["spec"]["template"] != deployment(after, "token")["spec"]["template"]


def test_numbers_reach_the_services_as_they_were_written() -> None:
    settings: Object = {"MAX_BODY_BYTES": 400000, "REQUEST_TIMEOUT_SECONDS": 0.5, "TASKS_PER_MINUTE": 12345678}
    environ = environment(render({"ingest": {"settings": settings}}), "ingest")
    assert {name: environ[name] for name in settings} == {
        "MAX_BODY_BYTES": "400000",
        "REQUEST_TIMEOUT_SECONDS": "0.5",
        "TASKS_PER_MINUTE": "12345678",
    }


@pytest.mark.parametrize("component", SERVICES)
def test_the_schema_has_the_settings_that_a_service_reads(component: str) -> None:
    schema = json.loads((STAGE_CHART / "values.schema.json").read_text())
    offered = set(schema["properties"][component]["properties"]["settings"]["properties"])
    assert offered == read_by(component) - SET_BY_THE_CHART


def read_by(component: str) -> set[str]:
    common = (ROOT / "services/common/settings.py").read_text()
    own = (ROOT / f"services/{component}/settings.py").read_text()
    groups = [name for name in ("read_service", "read_http", "read_oidc", "read_momento") if f"{name}(env" in own]
    texts = [own] + [common[common.index(f"def {name}(") :].split("\ndef ", 2)[0] for name in groups]
    named = set(re.findall(r'(?:env\.\w+\(|read_\w+\(\s*env,)\s*"([A-Z_]+)"', "".join(texts)))
    return named | ({"MEMORY_LIMIT_BYTES"} if "read_memory_limit(env)" in "".join(texts) else set())


@pytest.mark.parametrize("component", SERVICES)
def test_a_service_starts_with_the_environment_of_the_chart(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = environment(render({"momento": {"endpoint": "cell.momentohq.com"}}), component)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings: Any = load(importlib.import_module(f"services.{component}.settings").read_settings)
    assert settings.service.stage_name == "dev"
    assert settings.service.host == "0.0.0.0"


def test_the_stage_whose_key_is_read_can_be_another() -> None:
    environ = environment(render({"stageName": "pr-7", "ssmStageName": "dev"}), "token")
    assert environ["MOMENTO_API_KEY_PARAM_NAME"] == "/notification-api/dev/momento-api-key"
    assert environ["STAGE_NAME"] == "pr-7"
    assert environment(render({"stageName": "pr-7"}), "processor")["MOMENTO_API_KEY_PARAM_NAME"].split("/")[2] == "pr-7"


def test_the_issuer_is_the_pools_and_the_key_set_has_a_reachable_address() -> None:
    real = environment(render(), "token")
    issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
    assert (real["OIDC_ISSUER"], real["OIDC_JWKS_URL"]) == (issuer, f"{issuer}/.well-known/jwks.json")
    emulated = environment(render({"aws": {"emulated": True, "endpointUrl": "http://aws:4566/"}}), "ingest")
    assert emulated["OIDC_ISSUER"] == issuer
    assert emulated["OIDC_JWKS_URL"] == "http://aws:4566/eu-central-1_AbCdEfGhI/.well-known/jwks.json"


def test_each_service_has_only_the_settings_that_it_needs() -> None:
    objects = render()
    assert not {"TASK_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"} & environment(objects, "token").keys()
    assert not {"MOMENTO_CACHE_NAME", "MOMENTO_API_KEY_PARAM_NAME"} & environment(objects, "ingest").keys()
    assert not {"OIDC_ISSUER", "PORT_PUBLIC"} & environment(objects, "processor").keys()


def test_a_handlers_own_variables_reach_the_processor() -> None:
    extra = {"name": "REPORTS_URL", "value": "http://reports"}
    assert environment(render({"processor": {"extraEnv": [extra]}}), "processor")["REPORTS_URL"] == "http://reports"


@pytest.mark.parametrize("component", SERVICES)
def test_service_accounts_are_one_each_with_their_own_annotations(component: str) -> None:
    role = {"eks.amazonaws.com/role-arn": f"arn:aws:iam::123456789012:role/{component}"}
    objects = render({component: {"serviceAccount": {"annotations": role}}})
    annotated = [each for each in of_kind(objects, "ServiceAccount") if "annotations" in each["metadata"]]
    assert [each["metadata"]["name"] for each in annotated] == [f"dev-{component}"]
    assert annotated[0]["metadata"]["annotations"] == role
    assert deployment(objects, component)["spec"]["template"]["spec"]["serviceAccountName"] == f"dev-{component}"


def test_an_existing_service_account_is_used_and_not_created() -> None:
    objects = render({"token": {"serviceAccount": {"create": False, "name": "mine"}}})
    assert deployment(objects, "token")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert "dev-token" not in [each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")]


def test_budgets_let_a_node_be_drained() -> None:
    budgets = of_kind(render(), "PodDisruptionBudget")
    assert {each["spec"]["maxUnavailable"] for each in budgets} == {1}
    assert {each["spec"]["unhealthyPodEvictionPolicy"] for each in budgets} == {"AlwaysAllow"}
