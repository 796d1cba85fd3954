"""The generated files and their content. The same input gives the same bytes."""

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from k8s.dashboards.operator import operator
from k8s.dashboards.overview import overview
from k8s.dashboards.rules import slo_rules
from k8s.dashboards.stage import stage

CHARTS = Path(__file__).resolve().parents[2] / "charts"


def generated_files() -> dict[Path, str]:
    """Every file with its content."""
    return {
        CHARTS / "notification-api/dashboards/stage.json": as_json(stage()),
        CHARTS / "notification-operator/dashboards/stages.json": as_json(overview()),
        CHARTS / "notification-operator/dashboards/operator.json": as_json(operator()),
        CHARTS / "notification-api/rules/slo.yaml": slo_rules(),
    }


def as_json(dashboard: Dashboard) -> str:
    """The dashboard as Grafana reads it."""
    built = dashboard.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number  # links to a panel contain its id
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"
