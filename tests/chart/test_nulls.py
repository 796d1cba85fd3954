"""A value that is null means the same as a value that is left out: its default, or a refusal with its correction."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest

from tests.support.helm_charts import (
    EXISTING,
    GATEWAY_API,
    KEDA_API,
    LOCAL_CHART,
    MONITORING_APIS,
    OPERATOR_CHART,
    STAGE_API,
    STAGE_CHART,
    HelmError,
    Object,
    helm,
    merged_values,
    named,
    render,
)
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


APIS = [option for api in (*MONITORING_APIS, GATEWAY_API, KEDA_API) for option in ("--api-versions", api)]
EVERYTHING: Object = {
    "scaling": {"engine": "keda"},
    "ingress": {"enabled": True, "host": "api.example.com"},
    "httpRoute": {"enabled": True, "host": "api.example.com", "parentRefs": [{"name": "gateway"}]},
    "tests": {"userSecret": "user"},
    "aws": {"emulated": True, "endpointUrl": "http://local-emulators.stages.svc:4566"},
    "token": {"maxReplicas": 4},
    "ingest": {"maxReplicas": 4},
}
"""Values with which every template is rendered."""
SETUPS: list[tuple[str, Path, Object, list[str]]] = [
    ("stage-everything", STAGE_CHART, merged_values(EXISTING, EVERYTHING), APIS),
    (
        "stage-operated",
        STAGE_CHART,
        {"stageName": "dev", "token": {"maxReplicas": 4}, "ingest": {"maxReplicas": 4}},
        ["--api-versions", STAGE_API],
    ),
    ("local", LOCAL_CHART, {}, []),
    ("operator", OPERATOR_CHART, {"clusterName": "here"}, APIS),
]
OPERATED = ("serviceName", "ssmStageName", "queue", "userPool", "momento", "deletionPolicy", "adopt", "scaling")
OWN_KEYS = ("resources.", "podDisruptionBudget.", "labels.")
"""Maps with the user's keys: null removes an entry."""
PREPARE = [
    f'{{{{- include "{chart}.prepare" . }}}}'
    for chart in ("notification-api", "notification-local", "notification-operator")
]
REFUSED = {
    "stageName": "stageName is not set",
    "queue": "queue.url and queue.deadLetterUrl are not set",
    "queue.url": "queue.url is not set",
    "queue.deadLetterUrl": "queue.deadLetterUrl is not set",
    "userPool": "userPool.id and userPool.clientId are not set",
    "userPool.id": "userPool.id is not set",
    "userPool.clientId": "userPool.clientId is not set",
    "momento": "momento.cacheName is not set",
    "momento.cacheName": "momento.cacheName is not set",
    "clusterName": "clusterName is not set",
    "token.replicas": "token.replicas is null: leave it out to use the default, or set token.maxReplicas",
    "ingest.replicas": "ingest.replicas is null: leave it out to use the default, or set ingest.maxReplicas",
}
"""Values without a default, where there is neither an operator nor a cluster."""


def paths(values: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Paths of every map and every leaf."""
    for name, value in values.items():
        yield at + name
        if isinstance(value, dict):
            yield from paths(value, f"{at}{name}.")


def at_path(path: str, value: Any) -> Object:
    """Values with this one entry."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def template(chart: Path, options: list[str], values: Object) -> str:
    """What helm renders, or its error."""
    try:
        return helm("template", "dev", str(chart), "-n", "stages", *options, values=values)
    except HelmError as error:
        return str(error)


def without(values: Object, path: str) -> Object:
    """These values without the path."""
    name, _, rest = path.partition(".")
    if name not in values:
        return values
    kept = {key: value for key, value in values.items() if key != name}
    return {**kept, name: without(values[name], rest)} if rest else kept


@pytest.mark.parametrize(("name", "chart", "given", "options"), SETUPS, ids=[setup[0] for setup in SETUPS])
def test_null_is_a_value_that_is_left_out(name: str, chart: Path, given: Object, options: list[str]) -> None:
    values = load_yaml((chart / "values.yaml").read_text())
    listed = list(paths({key: values[key] for key in values if name != "stage-operated" or key in OPERATED}))
    expected = usual(chart, options, given)  # once, before the threads ask for it

    def is_as_usual(group: list[str]) -> bool:
        got = template(chart, options, reduce(merged_values, (at_path(path, None) for path in group), given))
        return got == expected or is_exception(group[0], got)

    def wrong(path: str) -> str:
        got = template(chart, options, merged_values(given, at_path(path, None)))
        return "" if got == usual(chart, options, without(given, path)) or is_exception(path, got) else got[:300]

    groups = together([path for path in listed if without(given, path) == given])
    with ThreadPoolExecutor(4) as pool:
        well = [path for group, ok in zip(groups, pool.map(is_as_usual, groups), strict=True) if ok for path in group]
        alone = [path for path in listed if path not in well]
        assert {path: got for path, got in zip(alone, pool.map(wrong, alone), strict=True) if got} == {}


def together(listed: list[str]) -> list[list[str]]:
    """Groups of paths that one rendering can test at once, since none is within another.

    Neighbours are in different groups, so that a map keeps some of its values.
    """
    groups: dict[tuple[bool, int, int], list[str]] = defaultdict(list)
    for number, path in enumerate(listed):
        groups[is_users_own(path), path.count("."), number % 3].append(path)
    return list(groups.values())


def usual(chart: Path, options: list[str], values: Object) -> str:
    """As `template`, cached for the values that most cases share."""
    return _usual(chart, tuple(options), json.dumps(values))


@cache
def _usual(chart: Path, options: tuple[str, ...], values: str) -> str:
    return template(chart, list(options), json.loads(values))


def is_exception(path: str, got: str) -> bool:
    """Whether an entry was removed from a map with the user's keys."""
    return is_users_own(path) and not got.startswith("Error")


def is_users_own(path: str) -> bool:
    return any(f".{part}" in f".{path}" for part in OWN_KEYS)


@pytest.mark.parametrize("path", REFUSED)
def test_a_missing_value_without_default_is_named(path: str) -> None:
    chart, given = (OPERATOR_CHART, {"clusterName": "here"}) if path == "clusterName" else (STAGE_CHART, EXISTING)
    assert REFUSED[path] in template(chart, [], merged_values(given, at_path(path, None)))


def test_an_entry_of_a_map_with_own_keys_can_be_removed() -> None:
    (container,) = named(render({"token": {"resources": {"limits": None}}}), "Deployment", "dev-token")["spec"][
        "template"
    ]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "128Mi"}}


def test_a_setting_that_is_null_is_not_set() -> None:
    values = {"processor": {"settings": {"CONCURRENCY": None, "OTEL_SERVICE_NAME": None}}}
    assert render(values) == render()


@pytest.mark.parametrize(("name", "chart", "given", "options"), SETUPS, ids=[setup[0] for setup in SETUPS])
def test_global_values_may_be_null(name: str, chart: Path, given: Object, options: list[str]) -> None:
    assert template(chart, options, {**given, "global": None}) == usual(chart, options, given)


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_every_template_begins_with_the_defaults(chart: Path) -> None:
    folder = chart / "templates"
    for file in [*folder.rglob("*.yaml"), *folder.rglob("*.txt")]:
        assert file.read_text().splitlines()[0] in PREPARE, file


@pytest.mark.parametrize(
    ("aws", "sentence"),
    [
        ({"emulated": True}, "aws.emulated is set without aws.endpointUrl: set the emulator's URL"),
        (
            {"emulated": True, "endpointUrl": "http://aws:4566", "credentialsSecret": "keys"},
            "an emulator accepts its own key pair only",
        ),
    ],
)
def test_the_operators_chart_refuses_contradictions(aws: Object, sentence: str) -> None:
    assert sentence in template(OPERATOR_CHART, [], {"clusterName": "here", "aws": aws})
