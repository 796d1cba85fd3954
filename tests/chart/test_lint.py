"""The charts are well-formed, complete and described, and have the version of the project."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from k8s.chart_files import chart_files
from services.common.version import VERSION
from tests.support.helm_charts import EXISTING, LOCAL_CHART, OPERATOR_CHART, ROOT, STAGE_CHART, helm
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


@pytest.mark.parametrize(
    ("chart", "values"),
    [(STAGE_CHART, EXISTING), (STAGE_CHART, {}), (LOCAL_CHART, {}), (OPERATOR_CHART, {"clusterName": "here"})],
)
def test_helm_lint_strict_reports_nothing(chart: Any, values: dict[str, Any]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(chart), values=values)


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_a_chart_has_the_version_of_the_project(chart: Any) -> None:
    described = load_yaml((chart / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert described["appVersion"] == described["version"] == project["version"] == VERSION


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_every_value_has_a_schema_and_every_schema_a_default(chart: Any) -> None:
    values = load_yaml((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    assert unknown_paths(values, schema) == []
    assert sorted(values) == sorted(set(schema["properties"]) - {"global"})
    assert schema["additionalProperties"] is False


def unknown_paths(values: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Paths of values that the schema does not have."""
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    unknown = [f"{at}.{name}" for name in values if name not in schema["properties"]]
    return unknown + [
        deeper
        for name, value in values.items()
        if name in schema["properties"]
        for deeper in unknown_paths(value, schema["properties"][name], f"{at}.{name}")
    ]


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


def test_the_generated_files_are_current() -> None:
    for path, text in chart_files().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is out of date: make generate"


def test_the_charts_have_the_same_shared_templates() -> None:
    texts = {(chart / "templates/_common.tpl").read_text() for chart in (STAGE_CHART, LOCAL_CHART, OPERATOR_CHART)}
    assert len(texts) == 1, "templates/_common.tpl differs between the charts: make fmt"


@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART, OPERATOR_CHART])
def test_names_of_templates_have_the_prefix_of_their_chart(chart: Path) -> None:
    for file in (chart / "templates").rglob("*"):
        prefix = "notification-common" if file.name == "_common.tpl" else chart.name
        for name in re.findall(r'define "([^"]+)"', file.read_text() if file.is_file() else ""):
            assert name.startswith(f"{prefix}."), file


def test_every_field_and_column_of_the_stage_definition_is_described() -> None:
    definition = load_yaml((OPERATOR_CHART / "crds/stages.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    assert undescribed(version["schema"]["openAPIV3Schema"]) == []
    columns = version["additionalPrinterColumns"]
    assert [one["name"] for one in columns if "description" not in one] == ["Ready", "Age"]


def undescribed(schema: dict[str, Any], at: str = "") -> list[str]:
    """Paths of fields without a description."""
    missing = [] if schema.get("description") else [at]
    for name, field in schema.get("properties", {}).items():
        missing += undescribed(field, f"{at}.{name}")
    return missing + undescribed(schema["items"], f"{at}[]") if "items" in schema else missing
