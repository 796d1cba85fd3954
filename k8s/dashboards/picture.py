"""A dashboard drawn without Grafana, from a Prometheus: the panels' own queries, units and places, plainly as SVG.

``python -m k8s.dashboards.picture stage.json http://127.0.0.1:9090 namespace stage minutes > stage.svg``
"""

import json
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from k8s.dashboards.drawing import Points, graph, heat, number, stacked
from k8s.dashboards.units import readable

CELL_WIDTH, CELL_HEIGHT, GAP = 50, 34, 8
POINTS = 80


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, and what the variables are."""

    url: str
    namespace: str
    stage: str
    seconds: int
    end: int = field(default_factory=lambda: int(time.time()))
    """One moment for every query: series of two queries have the same times, and can be stacked."""

    def series(self, target: Mapping[str, Any]) -> dict[str, Points]:
        """What a target draws, by legend."""
        values = {
            "query": self._filled(target["expr"]),
            "start": self.end - self.seconds,
            "end": self.end,
            "step": max(1, self.seconds // POINTS),
        }
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(values)}") as answer:  # noqa: S310
            found = json.load(answer)["data"]["result"]
        return {_legend(target, one["metric"]): _points(one["values"]) for one in found}

    def _filled(self, query: str) -> str:
        rates = {"__rate_interval": "30s", "__rate_interval_ms": "30000", "__range": f"{self.seconds}s"}
        known = {"namespace": self.namespace, "stage": self.stage, **rates}
        return re.sub(r"\$(\w+)", lambda found: known[found[1]], query)


def picture(board: Mapping[str, Any], source: Source) -> str:
    """Return the SVG of a dashboard."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * CELL_HEIGHT
    width = 24 * CELL_WIDTH
    parts = [_panel(panel, source) for panel in board["panels"]]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#f4f5f6"/>', *parts, "</svg>\n"])


def _panel(panel: Mapping[str, Any], source: Source) -> str:
    at = panel["gridPos"]
    x, y = at["x"] * CELL_WIDTH, at["y"] * CELL_HEIGHT
    width, height = at["w"] * CELL_WIDTH - GAP, at["h"] * CELL_HEIGHT - GAP
    if panel["type"] == "row":
        return f'<text x="{x + 6}" y="{y + 22}" font-size="16" font-weight="bold">{escape(panel["title"])}</text>'
    unit = panel["fieldConfig"]["defaults"]["unit"]
    drawn: dict[str, Points] = {}
    for target in panel["targets"]:
        drawn |= source.series(target)
    if panel["type"] == "table":
        inner = _table(panel, source, width)
    elif panel["type"] == "stat":
        inner = number(drawn, unit, width, height)
    elif panel["type"] == "heatmap":
        inner = heat(drawn, unit, width, height)
    else:
        stacking = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode")
        inner = graph(stacked(drawn) if stacking == "normal" else drawn, unit, width, height)
    return (
        f'<g transform="translate({x} {y})"><rect width="{width}" height="{height}" rx="4" fill="white"/>'
        f'<text x="8" y="16" font-size="12" font-weight="bold">{escape(panel["title"])}</text>{inner}</g>'
    )


def _table(panel: Mapping[str, Any], source: Source, width: int) -> str:
    columns = [
        {one["id"]: one["value"] for one in override["properties"]} for override in panel["fieldConfig"]["overrides"]
    ]
    rows: dict[str, dict[str, str]] = {}
    for column, target in zip(columns, panel["targets"], strict=True):
        for stage, points in source.series(target).items():
            if points:
                rows.setdefault(stage, {})[column["displayName"]] = readable(points[-1][1], column["unit"])
    heads = ["", *(column["displayName"] for column in columns)]
    lines = [heads, *([stage, *(row.get(head, "-") for head in heads[1:])] for stage, row in rows.items())]
    return "".join(
        f'<text x="{12 + at * (width - 20) // len(heads)}" y="{44 + number * 24}" font-size="12">{escape(cell)}</text>'
        for number, line in enumerate(lines)
        for at, cell in enumerate(line)
    )


def _legend(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    text = str(target.get("legendFormat") or ", ".join(labels.values()) or target["refId"])
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text.split("{{", maxsplit=1)[0] + "none" if "{{" in text else text


def _points(values: Sequence[tuple[float, str]]) -> Points:
    return [(at, float(value)) for at, value in values if abs(float(value)) < float("inf")]


if __name__ == "__main__":
    file, url, namespace, stage, minutes = sys.argv[1:]
    source = Source(url, namespace, stage, int(float(minutes) * 60))
    sys.stdout.write(picture(json.loads(Path(file).read_text(encoding="utf-8")), source))
