"""The chart refuses what a service would refuse at its start. The bounds of numbers are generated from the services."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import services.ingest.settings
import services.processor.settings
import services.token.settings
from services.common.settings import SettingsError, load
from tests.support.helm_charts import STAGE_CHART, HelmError, Object, environment, render
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


BOUNDS: dict[str, dict[str, float]] = load_yaml((STAGE_CHART / "setting-bounds.yaml").read_text())
SCHEMA: Object = json.loads((STAGE_CHART / "values.schema.json").read_text())
READ: dict[str, Callable[..., Any]] = {
    "token": services.token.settings.read_settings,
    "ingest": services.ingest.settings.read_settings,
    "processor": services.processor.settings.read_settings,
}


KINDS_OF_BOUNDS = [
    ("processor", "CONCURRENCY"),  # whole, with both bounds
    ("processor", "USER_SHARE"),  # above its lower bound
    ("processor", "ECHO_SECONDS"),  # from zero
    ("token", "VENDING_PER_SECOND"),  # a decimal as lower bound
    ("token", "MEMORY_LIMIT_BYTES"),  # numbers that Helm would print as 1e+08
    ("ingest", "TASKS_PER_MINUTE"),  # without an upper bound of its own
]


def values_around_bounds(name: str) -> list[Any]:
    """Values at the bounds, beyond them, and in other notations."""
    bounds = BOUNDS[name]
    low = bounds.get("min", bounds.get("above", 0))
    other_notations = [1.5, "lots", "-1", "nan", " 5", "5\n", "1_0", "1e1", "+5", "\u0665"]
    return [low - 1, low, low + 1, bounds["max"], bounds["max"] + 1, *other_notations]


def accepts(component: str, name: str) -> bool:
    return name in SCHEMA["properties"][component]["properties"]["settings"]["properties"]


CASES = [
    pytest.param(component, name, value, id=f"{component}-{name}-{value}")
    for component, name in KINDS_OF_BOUNDS
    for value in values_around_bounds(name)
]


@pytest.mark.parametrize(("component", "name", "value"), CASES)
def test_the_chart_accepts_the_numbers_that_the_service_accepts(
    component: str, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_accepted_by_chart({component: {"settings": {name: value}}}) == is_accepted_by_service(
        component, {name: as_text(value)}, monkeypatch
    )


ADDRESSES: list[tuple[str, str, Object]] = [
    ("token", "OTEL_EXPORTER_OTLP_ENDPOINT", {"tracing": {"otlpEndpoint": "otel-collector:4317"}}),
    ("token", "OTEL_EXPORTER_OTLP_ENDPOINT", {"tracing": {"otlpEndpoint": "http://otel-collector:4317"}}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["https://App.example.com"]}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["https://app.example.com?x"]}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["https://app.example.com:8443"]}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["https://app.example.com:443"]}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["http://[::80]"]}),
    ("ingest", "ALLOWED_ORIGINS", {"allowedOrigins": ["https://*.example.com"]}),
    ("ingest", "TASK_TYPES", {"taskTypes": ["v1.monthly_report-x"]}),
    ("ingest", "TASK_TYPES", {"taskTypes": ["x" * 64]}),
    ("ingest", "TASK_TYPES", {"taskTypes": ["x" * 65]}),
    ("ingest", "TASK_TYPES", {"taskTypes": [".report"]}),
    ("ingest", "TASK_TYPES", {"taskTypes": ["größe"]}),
    ("token", "CORS_ALLOWED_HEADERS", {"token": {"settings": {"CORS_ALLOWED_HEADERS": "x-tenant, X-Session"}}}),
    ("ingest", "CORS_ALLOWED_HEADERS", {"ingest": {"settings": {"CORS_ALLOWED_HEADERS": "x tenant"}}}),
    ("processor", "MOMENTO_ENDPOINT", {"momento": {"endpoint": "http://momento"}}),
    ("processor", "MOMENTO_ENDPOINT", {"momento": {"endpoint": "http://momento:8080"}}),
    ("processor", "MOMENTO_ENDPOINT", {"momento": {"endpoint": "cell.x:443"}}),
    ("processor", "MOMENTO_ENDPOINT", {"momento": {"endpoint": "cell.x"}}),
    ("token", "MOMENTO_WEB_ENDPOINT", {"momento": {"webEndpoint": "momento:8085"}}),
    ("token", "MOMENTO_WEB_ENDPOINT", {"momento": {"webEndpoint": "http://momento:8085"}}),
    ("processor", "TASK_HANDLER", {"processor": {"settings": {"TASK_HANDLER": "reports.handle"}}}),
    ("processor", "TASK_HANDLER", {"processor": {"settings": {"TASK_HANDLER": "my.reports:handle"}}}),
    ("processor", "NOTIFICATION_FORMAT", {"processor": {"settings": {"NOTIFICATION_FORMAT": "xml"}}}),
    ("processor", "NOTIFICATION_FORMAT", {"processor": {"settings": {"NOTIFICATION_FORMAT": "text"}}}),
]


@pytest.mark.parametrize(("component", "name", "values"), ADDRESSES, ids=str)
def test_the_chart_accepts_the_addresses_and_words_that_the_service_accepts(
    component: str, name: str, values: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (value,) = (leaf for leaf in leaves(values))
    assert is_accepted_by_chart(values) == is_accepted_by_service(component, {name: str(value)}, monkeypatch)


def test_task_types_are_a_setting_of_ingest_only() -> None:
    assert "TASK_TYPES" not in environment(render(), "ingest")
    stage = render({"taskTypes": ["default", "report"]})
    assert environment(stage, "ingest")["TASK_TYPES"] == "default,report"
    assert not any("TASK_TYPES" in environment(stage, component) for component in ("token", "processor"))


@pytest.mark.parametrize("count", [50, 51])
def test_the_chart_accepts_as_many_task_types_as_the_service(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"type-{number}" for number in range(count)]
    assert is_accepted_by_chart({"taskTypes": names}) == (count == 50)
    assert is_accepted_by_service("ingest", {"TASK_TYPES": ",".join(names)}, monkeypatch) == (count == 50)


def test_every_numeric_setting_of_a_service_has_its_bounds() -> None:
    assert {name for name in BOUNDS if not any(accepts(component, name) for component in READ)} == set()
    for component, text in (
        ("processor", {"TASK_HANDLER", "NOTIFICATION_FORMAT"}),
        ("token", {"CORS_ALLOWED_HEADERS"}),
        ("ingest", {"CORS_ALLOWED_HEADERS"}),
    ):
        assert (
            set(SCHEMA["properties"][component]["properties"]["settings"]["properties"]) - text - set(BOUNDS) == set()
        )


def is_accepted_by_chart(values: Object) -> bool:
    try:
        render(values)
    except HelmError as error:
        if "cannot be used" in str(error):
            return False
        raise  # an error of the template engine, not of the chart
    return True


def is_accepted_by_service(component: str, changed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the service would start with what the chart renders for EXISTING and these changes."""
    for name, value in (environment(render(), component) | changed).items():
        monkeypatch.setenv(name, value)
    try:
        load(READ[component])
    except SettingsError as error:
        if set(error.problems) == set(changed):
            return False
        raise
    return True


def as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def leaves(values: Any) -> list[Any]:
    if isinstance(values, dict):
        return [leaf for value in values.values() for leaf in leaves(value)]
    return [leaf for value in values for leaf in leaves(value)] if isinstance(values, list) else [values]


def test_the_services_accept_what_the_chart_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    for component in READ:
        assert is_accepted_by_service(component, {}, monkeypatch)
