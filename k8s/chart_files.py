"""`python -m k8s.chart_files`: write the generated files of the charts (`make generate`).

- `defaults.json` of each chart, from its values.yaml: templates see the merged values only, from which a null has
  removed the default.
- `setting-bounds.yaml` of notification-api, from the services' settings: the chart refuses what a service would refuse.
- `templates/_common.tpl` of the other charts, a copy of notification-api's.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]

import services.ingest.settings
import services.processor.settings
import services.token.settings
from k8s.recorded_settings import record
from services.common.setting_numbers import NumberRule

CHARTS = Path(__file__).resolve().parents[1] / "charts"
STAGE_CHART = CHARTS / "notification-api"
SERVICES = {
    "token": services.token.settings,
    "ingest": services.ingest.settings,
    "processor": services.processor.settings,
}


def chart_files() -> dict[Path, str]:
    """Every generated file of the charts with its content."""
    common = (STAGE_CHART / "templates/_common.tpl").read_text()
    files = {STAGE_CHART / "setting-bounds.yaml": setting_bounds()}
    for values in sorted(CHARTS.glob("*/values.yaml")):
        files[values.parent / "defaults.json"] = defaults(values.parent)
        files[values.parent / "templates/_common.tpl"] = common
    return files


def defaults(chart: Path) -> str:
    """The chart's defaults as JSON, one line for each top-level value."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def setting_bounds() -> str:
    """The bounds of every numeric setting that a release's values can change, as YAML."""
    bounds = dict(_bounds())
    head = "# Generated from services/*/settings.py by `make generate`: bounds of the services' numeric settings.\n"
    return head + "".join(f"{name}: {bounds[name]}\n" for name in bounds)


def _bounds() -> Iterator[tuple[str, str]]:
    schema = json.loads((STAGE_CHART / "values.schema.json").read_text())
    for service, module in SERVICES.items():
        accepted = schema["properties"][service]["properties"]["settings"]["properties"]
        for name, variable in record(module.read_settings).variables.items():
            if name in accepted and isinstance(variable.rule, NumberRule):
                yield name, _flow_mapping(variable.rule)


def _flow_mapping(rule: NumberRule) -> str:
    lower = "above" if rule.above_least else "min"
    whole = ", whole: true" if isinstance(rule.parse("1"), int) else ""
    return f"{{{lower}: {_plain(rule.least)}, max: {_plain(rule.most)}{whole}}}"


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


if __name__ == "__main__":
    for path, text in chart_files().items():
        path.write_text(text)
