"""All stages beside each other: which one needs a look?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.builders.table import Panel

from k8s.dashboards.panels import lines, listing
from k8s.dashboards.queries import Scope, errors
from k8s.dashboards.variables import board

ALL = Scope('namespace=~"$namespace",stage=~"$stage"', by=("namespace", "stage"))
NAME = "{{namespace}}/{{stage}}"


def across() -> Dashboard:
    """Build the dashboard."""
    dashboard = board(
        "notification-api-stages",
        "notification-api: all stages",
        "Which stage needs a look? The dashboard of a stage has the rest.",
        many=True,
    )
    dashboard.with_panel(_overview())
    for title, description, unit, query in (
        (
            "Told late",
            "Share of the tasks of an hour told later than 30 s after they were accepted.",
            "percentunit",
            ALL.select("notification_api:tasks_late:ratio_rate1h"),
        ),
        ("From accepted to told", "95 % of the tasks were told faster.", "s", ALL.quantile(0.95, "end_to_end_seconds")),
        ("Wait in the queue", "95 % of the tasks waited less.", "s", ALL.quantile(0.95, "queue_wait_seconds")),
        ("Tasks accepted", "Posts answered 202, a second.", "ops", ALL.rate("tasks_accepted_total")),
        (
            "Processors",
            "Pods that say that they are ready.",
            "short",
            ALL.total(ALL.select("ready", 'service="processor"')),
        ),
        ("Requests failing", "Answered 5xx, a second.", "reqps", _failing_requests()),
        ("Momento failing", "Attempts that failed, a second.", "ops", errors(ALL, "momento_calls_total")),
        ("SQS failing", "Calls that failed, a second.", "ops", errors(ALL, "sqs_calls_total")),
    ):
        dashboard.with_panel(lines(title, description, unit, {NAME: query}))
    return dashboard


def _overview() -> Panel:
    return listing(
        "Stages",
        "What happened in the time range, one stage a line. The promise: 99.9 % told within 30 s.",
        {
            "Told in time": ("percentunit", ALL.in_time("$__range")),
            "Accepted": ("short", ALL.growth("tasks_accepted_total", window="$__range")),
            "Told": ("short", ALL.growth("end_to_end_seconds_count", window="$__range")),
            "Leases lost": ("short", ALL.growth("leases_lost_total", window="$__range")),
            "Processors": ("short", ALL.total(ALL.select("ready", 'service="processor"'))),
            "Pods": ("short", ALL.total(ALL.select("ready"))),
            "Age of the Momento key": ("s", f"max by (namespace, stage) ({ALL.select('momento_key_age_seconds')})"),
        },
    )


def _failing_requests() -> str:
    failing = ALL.seldom("http_requests_total", where=('status=~"5.."',))
    return f"{failing} or 0 * {ALL.rate('http_requests_total')}"
