"""Dashboards and panels in one style: each panel has a unit, a description, and the data source of the dashboard."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as built
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models import prometheus as formats
from grafana_foundation_sdk.models.dashboard import VariableRefresh, VariableSort

SERVICES = 'notification_api_build_info{service=~"token|ingest|processor"}'
"""The series of stages. The operator has a build_info too, but is not part of a stage."""
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
HEIGHT = 8

Queries = Mapping[str, str]
"""Queries by legend; `{{label}}` in a legend is the label's value."""


def dashboard_of(uid: str, title: str, description: str, *, many: bool, series: str = SERVICES) -> Dashboard:
    """An empty dashboard for one stage, or for many. `series` is a selector: its namespaces and stages are offered."""
    in_namespace = series.removesuffix("}") + ',namespace=~"$namespace"}'
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["notification-api"])
        .readonly()
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_label_values("namespace", "Namespace", series, many=many))
        .with_variable(_label_values("stage", "Stage", in_namespace, many=many))
    )


def _label_values(name: str, label: str, selector: str, *, many: bool) -> QueryVariable:
    variable = QueryVariable(name).label(label).datasource(SOURCE)
    variable.query(f"label_values({selector}, {name})")
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".+") if many else variable  # noqa: FBT003


def graph(title: str, description: str, unit: str, queries: Queries, *, stacked: bool = False) -> timeseries.Panel:
    """Lines over time, half as wide as the dashboard."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(SOURCE)
    panel.span(WIDTH // 2).height(HEIGHT).min(0).line_width(1).fill_opacity(30 if stacked else 8)
    panel.show_points(kinds.VisibilityMode.NEVER)
    panel.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003 — the library's signature
    )
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    for number, (legend, query) in enumerate(queries.items()):
        panel.with_target(_query(number, query, legend).range().exemplar("_bucket" in query))
    return panel


def number(
    title: str, description: str, unit: str, query: str, steps: Sequence[tuple[float, str]] = ((0, "text"),)
) -> stat.Panel:
    """One number for the dashboard's time range. `steps` are lower bounds and their colours, the lowest first."""
    colours = [models.Threshold(color=colour, value=value) for value, colour in steps]
    colours[0].value = None  # no lower bound
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


def heatmap_of(title: str, description: str, unit: str, query: str) -> heatmap.Panel:
    """A histogram's buckets over time."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .span(WIDTH // 2)
        .height(HEIGHT)
        .calculate(False)  # noqa: FBT003 — the query returns buckets
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(heatmap.HeatmapColorOptions().mode(heatmaps.HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
        .with_target(_query(0, query, "{{le}}").range().format(formats.PromQueryFormat.HEATMAP))
    )


def table_of_stages(title: str, description: str, columns: Mapping[str, tuple[str, str]]) -> table.Panel:
    """A table with one row per stage; `columns` are units and queries by heading."""
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
