"""The dashboard of all stages: which one needs attention?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.builders.table import Panel

from k8s.dashboards.panels import dashboard_of, graph, table_of_stages
from k8s.dashboards.queries import ALL_STAGES

NAME = "{{namespace}}/{{stage}}"


def overview() -> Dashboard:
    """Build the dashboard."""
    dashboard = dashboard_of(
        "notification-api-stages",
        "notification-api: all stages",
        "Which stage needs attention? Its own dashboard has the details.",
        many=True,
    )
    dashboard.with_panel(_stages())
    for title, description, unit, query in (
        (
            "Late notifications",
            "Share of the tasks of the last hour whose user was notified more than 30 s after acceptance.",
            "percentunit",
            ALL_STAGES.select("notification_api:tasks_late:ratio_rate1h"),
        ),
        (
            "Time to notification",
            "From acceptance to the final notification, 95th percentile.",
            "s",
            ALL_STAGES.quantile(0.95, "end_to_end_seconds"),
        ),
        ("Wait in the queue", "95th percentile.", "s", ALL_STAGES.quantile(0.95, "queue_wait_seconds")),
        ("Tasks accepted", "POST /task answered 202, per second.", "ops", ALL_STAGES.rate("tasks_accepted_total")),
        (
            "Processor pods",
            "Pods that report that they are ready.",
            "short",
            ALL_STAGES.total(ALL_STAGES.select("ready", 'service="processor"')),
        ),
        ("Failed requests", "Answered 5xx, per second.", "reqps", _failed_requests()),
        ("Momento errors", "Failed attempts per second.", "ops", ALL_STAGES.error_rate("momento_calls_total")),
        ("SQS errors", "Failed calls per second.", "ops", ALL_STAGES.error_rate("sqs_calls_total")),
    ):
        dashboard.with_panel(graph(title, description, unit, {NAME: query}))
    return dashboard


def _stages() -> Panel:
    return table_of_stages(
        "Stages",
        "Totals of the time range, one row per stage. The SLO: 99.9 % notified within 30 s.",
        {
            "Notified within 30 s": ("percentunit", ALL_STAGES.share_on_time("$__range")),
            "Accepted": ("short", ALL_STAGES.increase("tasks_accepted_total", window="$__range")),
            "Notified": ("short", ALL_STAGES.increase("end_to_end_seconds_count", window="$__range")),
            "Leases lost": ("short", ALL_STAGES.increase("leases_lost_total", window="$__range")),
            "Processor pods": ("short", ALL_STAGES.total(ALL_STAGES.select("ready", 'service="processor"'))),
            "Pods": ("short", ALL_STAGES.total(ALL_STAGES.select("ready"))),
            "Age of the Momento key": (
                "s",
                f"max by (namespace, stage) ({ALL_STAGES.select('momento_key_age_seconds')})",
            ),
        },
    )


def _failed_requests() -> str:
    failed = ALL_STAGES.rare_rate("http_requests_total", where=('status=~"5.."',))
    return f"{failed} or 0 * {ALL_STAGES.rate('http_requests_total')}"
