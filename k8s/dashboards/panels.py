"""Panels in one style: each has a unit, a description, and the dashboard's own data source."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as built
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models import prometheus as formats

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
HEIGHT = 8

Lines = Mapping[str, str]
"""Queries by legend; `{{label}}` in a legend is the label's value."""


def lines(title: str, description: str, unit: str, queries: Lines, *, stacked: bool = False) -> timeseries.Panel:
    """A graph over time, half as wide as the dashboard."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(SOURCE)
    panel.span(WIDTH // 2).height(HEIGHT).min(0).line_width(1).fill_opacity(30 if stacked else 8)
    panel.show_points(kinds.VisibilityMode.NEVER)
    panel.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003 — the library's own form
    )
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    for number, (legend, query) in enumerate(queries.items()):
        panel.with_target(_query(number, query, legend).range().exemplar("_bucket" in query))
    return panel


def figure(
    title: str, description: str, unit: str, query: str, steps: Sequence[tuple[float, str]] = ((0, "text"),)
) -> stat.Panel:
    """One number over the dashboard's time range; `steps` are colours from a value on, the lowest first."""
    colours = [models.Threshold(color=colour, value=value) for value, colour in steps]
    colours[0].value = None  # from below
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .span(WIDTH // 6)
        .height(HEIGHT // 2)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .thresholds(built.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(colours))
        .with_target(_query(0, query, "").instant())
    )


def heat(title: str, description: str, unit: str, query: str) -> heatmap.Panel:
    """A histogram's buckets over time."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .span(WIDTH // 2)
        .height(HEIGHT)
        .calculate(False)  # noqa: FBT003 — the buckets are there already
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(heatmap.HeatmapColorOptions().mode(heatmaps.HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
        .with_target(_query(0, query, "{{le}}").range().format(formats.PromQueryFormat.HEATMAP))
    )


def listing(title: str, description: str, columns: Mapping[str, tuple[str, str]]) -> table.Panel:
    """A table with a row for each stage; `columns` are units and queries by heading."""
    panel = table.Panel().title(title).description(description).unit("short").datasource(SOURCE)
    panel.span(WIDTH).height(HEIGHT + 2).with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        models.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    )
    for number, (heading, (unit, query)) in enumerate(columns.items()):
        panel.with_target(_query(number, query, "").instant().format(formats.PromQueryFormat.TABLE))
        properties = [("displayName", heading), ("unit", unit)]
        panel.override_by_name(
            f"Value #{_letter(number)}",
            [models.DynamicConfigValue(id_val=key, value=value) for key, value in properties],
        )
    return panel


def _query(number: int, query: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(_letter(number)).expr(query).legend_format(legend).datasource(SOURCE)


def _letter(number: int) -> str:
    return chr(ord("A") + number)
