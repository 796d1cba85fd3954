"""The local stack's chart."""

import json
import re
import shutil
from pathlib import Path

import pytest

from local.in_cluster.values import Addresses, values_file
from local.outputs import Outputs
from local.ports import MAX_BASE, MIN_BASE, Ports
from local.web_access.access import RequestFacts, WebAccess
from tests.support.helm_charts import LOCAL_CHART, HelmError, Object, containers, named, of_kind, render
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


OUTPUTS = Outputs(
    queue_url="http://local-emulators.stages.svc:4566/000000000000/notification-api-dev-tasks",
    dead_letter_queue_url="http://local-emulators.stages.svc:4566/000000000000/notification-api-dev-dlq",
    user_pool_id="us-east-1_AbCdEfGhI",
    user_pool_client_id="client",
    cache_name="notification-api-dev",
    momento_api_key_param_name="/notification-api/dev/momento-api-key",
)


def local(values: Object | None = None) -> list[Object]:
    return render(values or {}, chart=LOCAL_CHART, release="local")


def pod(values: Object | None = None) -> Object:
    spec: Object = named(local(values), "Deployment", "local-emulators")["spec"]["template"]["spec"]
    return spec


def variables(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_the_bootstrap_runs_after_the_emulators_and_before_the_page() -> None:
    spec = pod({"stages": ["dev", "pr-7"]})
    assert [each["name"] for each in spec["initContainers"]] == ["aws", "momento", "bootstrap-dev", "bootstrap-pr-7"]
    assert [each.get("restartPolicy") for each in spec["initContainers"]] == ["Always", "Always", None, None]
    assert [each["name"] for each in spec["containers"]] == ["page"]


NAMES = ["dev", "1st", "PR_123-x", "FEAT-1", "feat-1", "FEAT_1", "Feat-1", "x" * 57, "X" * 57]


def test_every_valid_stage_name_is_accepted() -> None:
    for name in NAMES:
        assert render({"stageName": name})
    made = [each for each in pod({"stages": NAMES})["initContainers"] if each["name"].startswith("bootstrap-")]
    assert [variables(each)["STAGE_NAME"] for each in made] == NAMES
    names = [each["name"] for each in made]
    assert len(set(names)) == len(NAMES)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", each) for each in names), names
    assert names[0] == "bootstrap-dev"
    assert len({each["command"][-1] for each in made}) == len(NAMES)


def test_the_release_in_the_notes_has_a_name_that_is_valid_for_services(tmp_path: Path) -> None:
    said = notes({"stages": NAMES}, tmp_path)
    releases = re.findall(r"helm install (\S+) charts/notification-api", said)
    assert len(set(releases)) == len(NAMES)
    for release in releases:
        assert render(release=release)


@pytest.mark.parametrize("base", [MIN_BASE, 8_080, MAX_BASE])
def test_the_notes_use_different_ports_for_each_stage(base: int, tmp_path: Path) -> None:
    said = notes({"stages": [f"s{number}" for number in range(20)], "portBase": base}, tmp_path)
    bases = [int(each) for each in re.findall(r"LOCAL_PORT_BASE=(\d+) make forward", said)]
    assert len(bases) == 19
    assert all(MIN_BASE <= each <= MAX_BASE for each in bases)
    ports = [port for each in (base, *bases) for port in Ports(each).purposes()]
    assert len(ports) == len(set(ports))


def notes(values: Object, folder: Path) -> str:
    """The chart's notes, as an object of a copy, since `helm template` does not print notes."""
    copy = folder / "notification-local"
    shutil.copytree(LOCAL_CHART, copy)
    said = (copy / "templates" / "NOTES.txt").read_text()
    (copy / "templates" / "_notes.tpl").write_text(f'{{{{- define "test.notes" }}}}\n{said}\n{{{{- end }}}}')
    (copy / "templates" / "notes.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"
        'data: {notes: {{ include "test.notes" . | toJson }}}\n'
    )
    return str(named(render(values, chart=copy), "ConfigMap", "notes")["data"]["notes"])


def test_the_service_names_the_stage_of_the_application() -> None:
    (service,) = of_kind(local({"stages": ["FEAT-1", "two"]}), "Service")
    assert service["metadata"]["annotations"] == {"notification-api.io/page-stage": "FEAT-1"}


def test_the_bootstrap_waits_for_the_emulators() -> None:
    assert all("startupProbe" in each for each in pod()["initContainers"][:2])


def test_no_data_is_persisted() -> None:
    assert [sorted(each) for each in pod()["volumes"]] == [["emptyDir", "name"]]
    assert not of_kind(local(), "PersistentVolumeClaim")


def test_the_emulated_aws_checks_what_aws_checks() -> None:
    assert variables(pod()["initContainers"][0])["AUTH"] == "true"


def test_browser_requests_are_served_under_the_names_of_pods_and_port_forwards() -> None:
    spec = pod({"allowedOrigins": ["http://localhost:5173"]})
    emulators = [each for each in containers(spec) if each["name"] in {"aws", "momento", "page"}]
    assert len(emulators) == 3
    for container in emulators:
        access = WebAccess.from_environment(variables(container))
        assert access.origins == {"http://localhost:8080", "http://127.0.0.1:8080", "http://localhost:5173"}
        for host in ("localhost:18080", "127.0.0.1", "local-emulators.stages.svc:4566", "local-emulators.stages:4566"):
            assert access.refusal(RequestFacts.of("GET", "/", 4566, [("Host", host)])) is None, host
        for host in ("evil.example:4566", "local-emulators.stages.svc.evil.example:4566"):
            assert access.refusal(RequestFacts.of("GET", "/", 4566, [("Host", host)])) is not None, host


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "http://*.test", "http://a/", "http://a:80", "https://a.test:443", "http://a:", "http://a:0"),
        *("http://a..b", "http://A.test", "http://[::1", "http://a:1:2"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(HelmError, match="allowedOrigins"):
        pod({"allowedOrigins": [origin]})


def test_every_probe_sends_a_host_that_is_served() -> None:
    probes = [each[kind] for each in containers(pod()) for kind in each if kind.endswith("Probe")]
    assert len(probes) == 4
    assert all(probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}] for probe in probes)


def test_all_ports_move_together_and_as_on_a_laptop() -> None:
    ports = Ports(18_080)
    (service,) = of_kind(local({"portBase": ports.base}), "Service")
    assert {each["name"]: each["port"] for each in service["spec"]["ports"]} == {
        "page": ports.page,
        "momento-grpc": ports.momento_grpc,
        "momento-web": ports.momento_web,
        "aws": ports.aws,
    }
    page = variables(pod({"portBase": ports.base})["containers"][0])
    assert page["PAGE_PORT"] == str(ports.page)
    assert page["PAGE_COGNITO_URL"] == f"http://localhost:{ports.aws}"


def test_the_application_uses_the_first_stage() -> None:
    command = pod({"stages": ["one", "two"]})["containers"][0]["command"]
    assert command[-1] == "--outputs=/state/one.json"


def test_the_printed_values_install_a_stage() -> None:
    bootstrap = next(each for each in containers(pod()) if each["name"] == "bootstrap-dev")
    printed = load_yaml(values_file(OUTPUTS, Addresses.from_environment(variables(bootstrap))))
    objects = render(printed)
    assert {each["metadata"]["name"] for each in of_kind(objects, "Deployment")} == {
        "dev-token",
        "dev-ingest",
        "dev-processor",
    }
    token = json.dumps(named(objects, "Deployment", "dev-token"))
    assert "http://local-emulators.stages.svc:4566" in token
    forwarded = named(objects, "Service", "dev-token")["metadata"]["annotations"]["notification-api.io/emulators"]
    assert forwarded == "http://local-emulators.stages.svc:4566"
    settings = named(objects, "ConfigMap", "dev-token")["data"]
    assert settings["MOMENTO_ENDPOINT"] == "http://local-emulators.stages.svc:8084"
    assert settings["MOMENTO_WEB_ENDPOINT"] == "http://localhost:8085"
    assert settings["ALLOWED_ORIGINS"] == "http://localhost:8080,http://127.0.0.1:8080"


def test_the_printed_values_are_only_yaml() -> None:
    text = values_file(OUTPUTS, Addresses.from_environment(variables(pod()["initContainers"][2])))
    assert text.startswith("#")
    assert all(line.startswith("#") or ": " in line for line in text.splitlines())
