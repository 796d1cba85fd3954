"""Which dashboard is written where, and how: the same input gives the same bytes."""

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from k8s.dashboards.across import across
from k8s.dashboards.stage import stage

CHARTS = Path(__file__).resolve().parents[2] / "charts"


def dashboards() -> dict[Path, str]:
    """Every dashboard's file and content."""
    folder = CHARTS / "notification-api" / "dashboards"
    return {folder / "stage.json": written(stage()), folder / "stages.json": written(across())}


def written(dashboard: Dashboard) -> str:
    """Return the JSON that Grafana takes."""
    built = dashboard.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number  # links to a panel go by it
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"
