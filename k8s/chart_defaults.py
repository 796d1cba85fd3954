"""`python -m k8s.chart_defaults`: write each chart's defaults.json anew from its values.yaml.

Templates cannot read values.yaml: Helm gives them the merged values, from which a null has removed the default.
"""

import json
from pathlib import Path

import yaml  # type: ignore[import-untyped]

CHARTS = Path(__file__).resolve().parents[1] / "charts"


def defaults(chart: Path) -> str:
    """The text of the chart's defaults.json, a line for each top-level value."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    for values in CHARTS.glob("*/values.yaml"):
        (values.parent / "defaults.json").write_text(defaults(values.parent))


if __name__ == "__main__":
    main()
