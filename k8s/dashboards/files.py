"""Which dashboard is written where, and how: the same input gives the same bytes."""

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from k8s.dashboards.operator import operator
from k8s.dashboards.overview import across
from k8s.dashboards.stage import stage

CHARTS = Path(__file__).resolve().parents[2] / "charts"


def dashboards() -> dict[Path, str]:
    """Every dashboard's file and content."""
    made = {
        "notification-api/dashboards/stage.json": stage(),
        "notification-operator/dashboards/stages.json": across(),
        "notification-operator/dashboards/operator.json": operator(),
    }
    return {CHARTS / name: written(dashboard) for name, dashboard in made.items()}


def written(dashboard: Dashboard) -> str:
    """Return the JSON that Grafana takes."""
    built = dashboard.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number  # links to a panel go by it
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"
