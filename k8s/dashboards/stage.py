"""The dashboard of one stage, from what users notice to what runs."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from k8s.dashboards.failures import failures
from k8s.dashboards.panels import dashboard_of
from k8s.dashboards.runtime import runtime
from k8s.dashboards.scaling import scaling
from k8s.dashboards.slo import slo
from k8s.dashboards.task_types import following, task_types
from k8s.dashboards.timing import task_time, waiting


def stage() -> Dashboard:
    """Build the dashboard."""
    dashboard = dashboard_of(
        "notification-api-stage",
        "notification-api: stage",
        "Is the SLO met? How long do tasks wait, where is their time spent, is the processor scaled, and what fails?",
        many=False,
    )
    for row in (slo, waiting, task_time, task_types, following, scaling, failures, runtime):
        row(dashboard)
    return dashboard
