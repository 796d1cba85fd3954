"""The definition of a Stage, as `kubectl explain` shows it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.helm_charts import OPERATOR_CHART
from tests.support.yaml_text import load_yaml

FEWEST_WORDS = 2


def versions() -> list[dict[str, Any]]:
    definition = load_yaml((OPERATOR_CHART / "crds" / "stages.yaml").read_text())
    return list(definition["spec"]["versions"])


def fields(schema: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object, list, list item and leaf of a schema."""
    yield at, schema
    for name, below in schema.get("properties", {}).items():
        yield from fields(below, f"{at}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from fields(schema[key], f"{at}[]")


FIELDS = [each for version in versions() for each in fields(version["schema"]["openAPIV3Schema"], "stage")]


@pytest.mark.parametrize(("field", "schema"), FIELDS, ids=[field for field, _ in FIELDS])
def test_every_field_is_described_in_sentences(field: str, schema: dict[str, Any]) -> None:
    description = schema.get("description", "")
    assert description.endswith("."), field
    assert len(description.split()) >= FEWEST_WORDS
    assert description[0].isupper()


@pytest.mark.parametrize(
    ("field", "schema"),
    [each for each in FIELDS if isinstance(each[1].get("default"), str | int) and "default" in each[1]],
)
def test_a_default_is_in_the_description(field: str, schema: dict[str, Any]) -> None:
    assert str(schema["default"]).lower() in schema["description"], field


@pytest.mark.parametrize(("field", "schema"), [each for each in FIELDS if each[0].endswith("Seconds")])
def test_a_time_says_its_unit(field: str, schema: dict[str, Any]) -> None:
    assert "econds" in schema["description"], field


@pytest.mark.parametrize(
    "column", [each for version in versions() for each in version["additionalPrinterColumns"]], ids=str
)
def test_a_column_shows_a_field_that_exists(column: dict[str, Any]) -> None:
    path = column["jsonPath"].split("[?")[0]
    if not path.startswith(".metadata"):
        assert f"stage{path}" in {field for field, _ in FIELDS}
