"""Both charts are well-formed, and what they say of themselves agrees with the project."""

import json
import re
import tomllib
from typing import Any

import pytest

from services.common.version import VERSION
from tests.support.helm_charts import CHARTS, GIVEN, LOCAL_CHART, OPERATOR_CHART, ROOT, STAGE_CHART, helm
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


LONGEST_VALUES_LINES = 200


@pytest.mark.parametrize(
    ("chart", "values"),
    [(STAGE_CHART, GIVEN), (STAGE_CHART, {}), (LOCAL_CHART, {}), (OPERATOR_CHART, {"clusterName": "here"})],
)
def test_helm_lint_strict_has_nothing_to_say(chart: Any, values: dict[str, Any]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(chart), values=values)


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_a_chart_installs_the_version_that_it_is_part_of(chart: Any) -> None:
    described = load_yaml((chart / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert described["appVersion"] == described["version"] == project["version"] == VERSION


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_every_value_has_a_schema_and_every_schema_a_default(chart: Any) -> None:
    values = load_yaml((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    assert paths(values, schema) == []
    assert sorted(values) == sorted(set(schema["properties"]) - {"global"})
    assert schema["additionalProperties"] is False


def paths(values: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where the values have a name that the schema does not."""
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    unknown = [f"{at}.{name}" for name in values if name not in schema["properties"]]
    return unknown + [
        deeper
        for name, value in values.items()
        if name in schema["properties"]
        for deeper in paths(value, schema["properties"][name], f"{at}.{name}")
    ]


def test_values_stay_short_enough_to_be_read() -> None:
    for file in CHARTS.glob("*/values.yaml"):
        assert len(file.read_text().splitlines()) <= LONGEST_VALUES_LINES, file


def test_every_top_level_value_is_explained() -> None:
    text = (STAGE_CHART / "values.yaml").read_text()
    blocks = re.split(r"\n(?=[a-z][A-Za-z]*:)", text)
    bare = [block.partition(":")[0] for block in blocks[1:] if "#" not in block and not commented_before(text, block)]
    assert bare == []


def commented_before(text: str, block: str) -> bool:
    """Whether the lines above, up to an empty one, have a comment."""
    above = text[: text.index(f"\n{block}")].splitlines()
    paragraph = []
    for line in reversed(above):
        if not line:
            break
        paragraph.append(line)
    return any(line.startswith("#") for line in paragraph)
