"""All pods of the charts are restricted, have probes and limits, and contain no secret."""

from typing import Any

import pytest

from tests.support.helm_charts import LOCAL_CHART, STAGE_CHART, Object, containers, named, of_kind, pod_specs, render

pytestmark = pytest.mark.helm


EMULATED: Object = {"aws": {"emulated": True, "endpointUrl": "http://local-emulators.stages.svc:4566"}}
RENDERINGS: list[Any] = [
    pytest.param((STAGE_CHART, {}), id="bare"),
    pytest.param((STAGE_CHART, EMULATED), id="emulated"),
    pytest.param((STAGE_CHART, {"aws": {"credentialsSecret": "keys"}, "tests": {"userSecret": "user"}}), id="secrets"),
    pytest.param((LOCAL_CHART, {"stages": ["dev", "pr-7"]}), id="embedded"),
]
SERVICES = ("token", "ingest", "processor")


@pytest.fixture(params=RENDERINGS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    chart, values = request.param
    return render(values, chart=chart)


def test_pods_meet_the_restricted_profile(objects: list[Object]) -> None:
    for name, spec in pod_specs(objects):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 10_000, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert all({"emptyDir", "secret"} & volume.keys() for volume in spec.get("volumes", [])), name


def test_containers_meet_the_restricted_profile(objects: list[Object]) -> None:
    for name, spec in pod_specs(objects):
        for container in containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, f"{name}/{container['name']}"


def test_no_pod_gets_a_token_of_the_api_server(objects: list[Object]) -> None:
    assert all(spec["automountServiceAccountToken"] is False for _, spec in pod_specs(objects))
    assert all(account["automountServiceAccountToken"] is False for account in of_kind(objects, "ServiceAccount"))


def test_no_service_of_the_namespace_sets_variables_of_a_pod(objects: list[Object]) -> None:
    assert all(spec["enableServiceLinks"] is False for _, spec in pod_specs(objects))


def test_every_container_has_requests_and_a_memory_limit(objects: list[Object]) -> None:
    for name, spec in pod_specs(objects):
        for container in containers(spec):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            # A limit on CPU throttles at the moment of a burst, and a request already gives each its share.
            assert "cpu" not in container["resources"]["limits"], name


def test_no_environment_contains_a_secret(objects: list[Object]) -> None:
    public = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # the emulator's only key pair
    for name, spec in pod_specs(objects):
        for container in containers(spec):
            for variable in container.get("env", []):
                assert "secretKeyRef" not in str(variable), name
                if any(word in variable["name"] for word in ("SECRET", "PASSWORD", "ACCESS_KEY", "TOKEN")):
                    allowed = variable["name"] in {"TOKEN_URL", "PAGE_TOKEN_URL"}
                    assert allowed or public[variable["name"]] == variable["value"], f"{name}: {variable}"
            assert all("secretRef" not in source for source in container.get("envFrom", [])), name


def test_no_config_map_contains_a_secret(objects: list[Object]) -> None:
    names = {name for each in of_kind(objects, "ConfigMap") for name in each["data"]}
    assert not [name for name in names if any(word in name for word in ("SECRET", "PASSWORD", "CREDENTIAL"))]
    assert not of_kind(objects, "Secret")


def test_every_image_has_a_tag_or_digest(objects: list[Object]) -> None:
    for name, spec in pod_specs(objects):
        for container in containers(spec):
            image = container["image"]
            assert image.count(":") >= 1, name
            assert not image.endswith((":", ":latest")), name


def test_a_digest_is_used_instead_of_the_tag() -> None:
    digest = "sha256:" + "0" * 64
    objects = render({"image": {"repository": "registry.example.com/x", "tag": "1", "digest": digest}})
    images = {container["image"] for _, spec in pod_specs(objects) for container in containers(spec)}
    assert images == {f"registry.example.com/x@{digest}"}


def test_credentials_come_as_a_file() -> None:
    objects = render({"aws": {"credentialsSecret": "keys"}})
    for component in SERVICES:
        (spec,) = [spec for name, spec in pod_specs(objects) if name == f"Deployment dev-{component}"]
        (container,) = spec["containers"]
        assert {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": "/var/run/secrets/aws/credentials"} in container["env"]
        assert spec["volumes"] == [{"name": "aws", "secret": {"secretName": "keys", "defaultMode": 0o440}}]
        assert container["volumeMounts"][0]["mountPath"] == "/var/run/secrets/aws"


@pytest.mark.parametrize(
    ("values", "variables"),
    [
        ({}, {}),
        ({"taskTypes": ["report", "default"]}, {}),
        ({"taskTypes": ["report", "export"]}, {"TASK_TYPE": "report"}),
        ({"token": {"settings": {"HISTORY_RETENTION_SECONDS": 0}}}, {"HISTORY_RETENTION_SECONDS": "0"}),
        ({"processor": {"settings": {"HISTORY_RETENTION_SECONDS": "0"}}}, {"HISTORY_RETENTION_SECONDS": "0"}),
        ({"token": {"settings": {"HISTORY_RETENTION_SECONDS": 600}}}, {}),
    ],
)
def test_the_helm_test_knows_a_type_and_whether_there_are_statuses(values: Object, variables: Object) -> None:
    pod = named(render({**values, "tests": {"userSecret": "user"}}), "Pod", "dev-smoke")
    env = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
    assert {name: env[name] for name in ("TASK_TYPE", "HISTORY_RETENTION_SECONDS") if name in env} == variables
