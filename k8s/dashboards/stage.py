"""One stage, from the user's view down: is the promise kept, where is the time spent, is it scaling, what fails?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from k8s.dashboards.failures import failing
from k8s.dashboards.scaling import running, scaling
from k8s.dashboards.slo import promise
from k8s.dashboards.timing import time_spent, waiting
from k8s.dashboards.variables import board


def stage() -> Dashboard:
    """Build the dashboard."""
    dashboard = board(
        "notification-api-stage",
        "notification-api: a stage",
        "Is the promise kept, how long do tasks wait, where is the time spent, is it scaling, what fails?",
        many=False,
    )
    for part in (promise, waiting, time_spent, scaling, failing, running):
        part(dashboard)
    return dashboard
