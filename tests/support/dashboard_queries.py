"""The dashboards as they are checked in, and what their panels ask Prometheus."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted(ROOT.glob("charts/*/dashboards/*.json"))


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    dashboard: str
    panel: str
    legend: str
    expression: str

    def with_values(self, values: Mapping[str, str]) -> str:
        """The query as Grafana sends it, once its variables have `values`."""
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], self.expression)


def panels(path: Path) -> Iterator[dict[str, Any]]:
    """All panels that show something."""
    for panel in json.loads(path.read_text())["panels"]:
        yield from panel.get("panels") or []
        if panel["type"] != "row":
            yield panel


def queries(path: Path) -> list[PanelQuery]:
    return [
        PanelQuery(path.stem, panel["title"], target.get("legendFormat", ""), target["expr"])
        for panel in panels(path)
        for target in panel["targets"]
    ]
