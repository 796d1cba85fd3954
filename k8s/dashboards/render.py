"""Draw a dashboard without Grafana, with the panels' own queries, units and places.

``python -m k8s.dashboards.render stage.json http://127.0.0.1:9090 namespace stage minutes stage.svg``
"""

import json
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, MaxNLocator

POINTS = 80
CELL_INCHES = (0.5, 0.32)
NO_DATA = "no data"
DAY = 86_400

Series = dict[str, tuple[np.ndarray, np.ndarray]]
"""Times and values by legend."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus server, and the values of the dashboard's variables."""

    url: str
    namespace: str
    stage: str
    seconds: int
    end: int = field(default_factory=lambda: int(time.time()))
    """The same for all queries, so that their series have the same times."""

    def series(self, panel: Mapping[str, Any], target: Mapping[str, Any]) -> Series:
        """The series of one of the panel's queries, without values that cannot be drawn."""
        times = {"start": self.end - self.seconds, "end": self.end, "step": max(1, self.seconds // POINTS)}
        asked = urllib.parse.urlencode({"query": self._with_variables(target["expr"]), **times})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{asked}") as answer:  # noqa: S310
            results = json.load(answer)["data"]["result"]
        points = {_legend(target, each["metric"]): np.array(each["values"], float).T for each in results}
        finite = {name: (at[np.isfinite(values)], values[np.isfinite(values)]) for name, (at, values) in points.items()}
        return {name: each for name, each in finite.items() if each[1].size or panel["type"] == "table"}

    def _with_variables(self, query: str) -> str:
        values = {"namespace": self.namespace, "stage": self.stage, "__range": f"{self.seconds}s"}
        values |= {"__rate_interval": "30s", "__rate_interval_ms": "30000"}
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], query)


def render(dashboard: Mapping[str, Any], source: Source) -> Figure:
    """Draw every panel on axes of its own, which have the panel's title."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    figure = Figure(figsize=(24 * CELL_INCHES[0], rows * CELL_INCHES[1]), facecolor="#f4f5f6")
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, top = place["x"] / 24, 1 - place["y"] / rows
        if panel["type"] == "row":
            figure.text(left + 0.005, top - 0.7 / rows, panel["title"], fontsize=14, weight="bold")
            continue
        x, y = (0.045, 1.2 / rows) if panel["type"] in {"timeseries", "heatmap"} else (0.01, 0.3 / rows)
        width, height = place["w"] / 24 - x - 0.012, (place["h"] - 1) / rows - y
        axes = figure.add_axes((left + x, top - place["h"] / rows + y, width, height))
        axes.set_title(panel["title"], fontsize=9, weight="bold", loc="left")
        DRAW[panel["type"]](axes, panel, source)
    return figure


def _graph(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    series: Series = {}
    for target in panel["targets"]:
        series |= source.series(panel, target)
    defaults = panel["fieldConfig"]["defaults"]
    base: dict[float, float] = {}
    for name, (at, values) in series.items():
        heights = values + np.array([base.get(moment, 0.0) for moment in at])
        if defaults["custom"].get("stacking", {}).get("mode") == "normal":
            base |= dict(zip(at, heights, strict=True))
        axes.plot(at, heights, linewidth=1.2, label=name)
    axes.set_ylim(bottom=0, top=None if any(values.max() > 0 for _, values in series.values()) else 1)
    axes.yaxis.set_major_formatter(_formatter(defaults["unit"]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color="#e3e5e8")
    if series:
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.02), ncols=6, fontsize=7, frameon=False)
    _finish(axes, has_data=bool(series))


def _heatmap(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    buckets = source.series(panel, panel["targets"][0])
    bounds = sorted((name for name in buckets if name != "+Inf"), key=float)
    times = sorted({moment for name in bounds for moment in buckets[name][0]})
    cumulative = [[dict(zip(*buckets[name], strict=True)).get(at, 0.0) for at in times] for name in bounds]
    if times:
        counts = np.clip(np.diff(np.array(cumulative), axis=0, prepend=0.0), 0, None)
        axes.pcolormesh(times, range(len(bounds)), counts, cmap="Blues", shading="nearest", rasterized=True)
        formatter = _formatter(panel["fieldConfig"]["defaults"]["unit"])
        axes.set_yticks(range(len(bounds)), [formatter(float(name)) for name in bounds])
    _finish(axes, has_data=bool(times))


def _number(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    series = source.series(panel, panel["targets"][0])
    formatter = _formatter(panel["fieldConfig"]["defaults"]["unit"])
    for _, values in series.values():
        axes.text(0.5, 0.4, formatter(values[-1]), ha="center", va="center", fontsize=20, transform=axes.transAxes)
    axes.set_yticks([])
    _finish(axes, has_data=bool(series))


def _table(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    columns = [{each["id"]: each["value"] for each in one["properties"]} for one in panel["fieldConfig"]["overrides"]]
    rows: dict[str, dict[str, str]] = {}
    for column, target in zip(columns, panel["targets"], strict=True):
        for stage, (_, values) in source.series(panel, target).items():
            text = _formatter(column["unit"])(values[-1]) if values.size else "-"
            rows.setdefault(stage, {"stage": stage})[column["displayName"]] = text
    headings = ["stage", *(column["displayName"] for column in columns)]
    if rows:
        cells = [[row.get(heading, "-") for heading in headings] for row in rows.values()]
        axes.table(cells, colLabels=headings, loc="upper center", cellLoc="left", colLoc="left", edges="horizontal")
    axes.set_yticks([])
    _finish(axes, has_data=bool(rows))


DRAW = {"timeseries": _graph, "heatmap": _heatmap, "stat": _number, "table": _table}


def _finish(axes: Axes, *, has_data: bool) -> None:
    axes.set_xticks([])
    axes.tick_params(labelsize=7, length=0)
    axes.spines[:].set_visible(False)
    if not has_data:
        axes.text(0.5, 0.5, NO_DATA, color="#b5413c", ha="center", va="center", transform=axes.transAxes)


def _formatter(unit: str) -> Formatter:
    with_prefix = EngFormatter({"s": "s", "bytes": "B"}.get(unit, ""))

    def formatted(value: float, _: object = None) -> str:
        if unit == "percentunit":
            return f"{value * 100:.4g} %"
        if unit in {"s", "bytes"}:
            return f"{value / DAY:.3g} d" if unit == "s" and value >= DAY else with_prefix(float(f"{value:.4g}"))
        return f"{value:.4g}{'/s' if unit in {'ops', 'reqps'} else ''}"

    return FuncFormatter(formatted)


def _legend(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    text = str(target.get("legendFormat") or ", ".join(labels.values()) or target["refId"])
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return re.sub(r"\{\{.*", "none", text)


if __name__ == "__main__":
    file, url, namespace, stage, minutes, picture = sys.argv[1:]
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "notification-api"
    drawn = render(json.loads(Path(file).read_text()), Source(url, namespace, stage, int(float(minutes) * 60)))
    drawn.savefig(picture, metadata={"Date": None})
