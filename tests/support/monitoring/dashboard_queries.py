"""The checked-in dashboards, and the queries of their panels."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
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

    @property
    def without_fallback(self) -> "PanelQuery":
        """The query without the part that draws a line at zero while there is no data."""
        return replace(self, expression=re.split(r" or on\(\) vector\(0\)$| or 0 \* ", self.expression)[0])

    @property
    def has_fallback(self) -> bool:
        return self.without_fallback != self


def panels(path: Path) -> Iterator[dict[str, Any]]:
    """All panels but rows."""
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


def variables(path: Path) -> dict[str, PanelQuery]:
    """The variables by name, with the selector whose label values they offer."""
    found = {}
    for one in json.loads(path.read_text())["templating"]["list"]:
        if one["type"] == "query":
            (asked,) = re.findall(rf"^label_values\((.+), {one['name']}\)$", one["query"])
            found[one["name"]] = PanelQuery(path.stem, one["label"], "", asked)
    return found
