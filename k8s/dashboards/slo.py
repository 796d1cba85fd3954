"""Whether a stage meets its service-level objective."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph, number
from k8s.dashboards.queries import ONE_STAGE, QUANTILES, or_zero

SUBMISSIONS = ('method="POST"', 'route="/task"')
DAY = 86_400


def slo(dashboard: Dashboard) -> None:
    """Add the row: notified on time, and answered on time."""
    dashboard.with_row(Row("Is the SLO met?"))
    dashboard.with_panel(
        number(
            "Notified within 30 s",
            "Share of the tasks of this time range whose user was notified within 30 s. The SLO is 99.9 %.",
            "percentunit",
            ONE_STAGE.share_on_time("$__range"),
            ((0.0, "red"), (0.99, "orange"), (0.999, "green")),
        )
    )
    for title, description, query in (
        (
            "Tasks accepted",
            "POST /task answered 202 in this time range.",
            ONE_STAGE.increase("tasks_accepted_total", window="$__range"),
        ),
        (
            "Tasks notified",
            "Tasks whose user was notified that they are finished, or failed for good; no cancelled or expired ones.",
            ONE_STAGE.increase("end_to_end_seconds_count", window="$__range"),
        ),
        (
            "Dead-lettered",
            "Tasks sent to the dead-letter queue in this time range.",
            or_zero(ONE_STAGE.increase("tasks_dead_lettered_total", window="$__range")),
        ),
        (
            "Leases lost",
            "Messages that another processor may have received too.",
            ONE_STAGE.increase("leases_lost_total", window="$__range"),
        ),
    ):
        dashboard.with_panel(number(title, description, "short", query))
    dashboard.with_panel(
        number(
            "Age of the Momento key",
            "Time since the SSM parameter was written. Replace the key within 90 days.",
            "s",
            f"max({ONE_STAGE.select('momento_key_age_seconds')})",
            ((0, "green"), (80 * DAY, "orange"), (90 * DAY, "red")),
        )
    )
    dashboard.with_panel(
        graph(
            "Late notifications",
            "Share notified more than 30 s after acceptance. The SLO permits 0.1 %; 1.44 % for an hour uses 2 % of the"
            " error budget of 30 days.",
            "percentunit",
            {
                "5 minutes": ONE_STAGE.select("notification_api:tasks_late:ratio_rate5m"),
                "1 hour": ONE_STAGE.select("notification_api:tasks_late:ratio_rate1h"),
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Time to notification",
            "From SQS' acknowledgement of the task, or the end of its delay, to the final notification.",
            "s",
            {name: ONE_STAGE.quantile(share, "end_to_end_seconds") for name, share in QUANTILES.items()},
        )
    )
    dashboard.with_panel(
        graph(
            "Time to accept a task",
            "Time to answer POST /task, with SQS' acknowledgement. The objective is 100 ms.",
            "s",
            {
                name: ONE_STAGE.quantile(share, "http_request_duration_seconds", where=SUBMISSIONS)
                for name, share in QUANTILES.items()
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Responses",
            "Requests answered per second, by service and status. 5xx are faults of the service, 4xx of the client.",
            "reqps",
            {"{{service}} {{status}}": ONE_STAGE.rate("http_requests_total", "service", "status")},
            stacked=True,
        )
    )
