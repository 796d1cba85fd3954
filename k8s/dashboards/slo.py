"""A stage's promise, as its users feel it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import figure, lines
from k8s.dashboards.queries import HERE, SHARES, or_none

POSTS = ('method="POST"', 'route="/task"')


def promise(dashboard: Dashboard) -> None:
    """Told in time, and answered in time."""
    good = ((0.0, "red"), (0.99, "orange"), (0.999, "green"))
    dashboard.with_row(Row("Is the promise kept?"))
    dashboard.with_panel(
        figure(
            "Told in time",
            "Of the tasks told in this time range, those told within 30 s. The promise is 99.9 %.",
            "percentunit",
            HERE.in_time("$__range"),
            good,
        )
    )
    for title, description, query in (
        (
            "Tasks accepted",
            "Posts that were answered 202 in this time range.",
            HERE.growth("tasks_accepted_total", window="$__range"),
        ),
        (
            "Tasks told",
            "Tasks whose user was told that they are finished, or failed for good.",
            HERE.growth("end_to_end_seconds_count", window="$__range"),
        ),
        (
            "Set aside",
            "Tasks that went to the dead-letter queue in this time range.",
            or_none(HERE.growth("tasks_dead_lettered_total", window="$__range")),
        ),
        (
            "Leases lost",
            "Messages that another processor may have begun too.",
            HERE.growth("leases_lost_total", window="$__range"),
        ),
    ):
        dashboard.with_panel(figure(title, description, "short", query))
    dashboard.with_panel(
        figure(
            "Age of the Momento key",
            "Since the value of the SSM parameter was changed. Keys are replaced within 90 days.",
            "s",
            f"max({HERE.select('momento_key_age_seconds')})",
            ((0, "green"), (80 * 86_400, "orange"), (90 * 86_400, "red")),
        )
    )
    dashboard.with_panel(
        lines(
            "Told late",
            "Later than 30 s after they were accepted. The promise is 0.1 %; 1.44 % for an hour is 2 % of the budget.",
            "percentunit",
            {
                "5 minutes": HERE.select("notification_api:tasks_late:ratio_rate5m"),
                "1 hour": HERE.select("notification_api:tasks_late:ratio_rate1h"),
            },
        )
    )
    dashboard.with_panel(
        lines(
            "From accepted to told",
            "What a user waits for: from SQS's acknowledgement to the publishing of the final notification.",
            "s",
            {legend: HERE.quantile(share, "end_to_end_seconds") for legend, share in SHARES.items()},
        )
    )
    dashboard.with_panel(
        lines(
            "Posts",
            "Time to answer POST /task, SQS's acknowledgement included. The objective is 100 ms.",
            "s",
            {
                legend: HERE.quantile(share, "http_request_duration_seconds", where=POSTS)
                for legend, share in SHARES.items()
            },
        )
    )
    dashboard.with_panel(
        lines(
            "Answers",
            "Requests answered a second. 5xx are ours, 4xx the clients'.",
            "reqps",
            {"{{service}} {{status}}": HERE.rate("http_requests_total", "service", "status")},
            stacked=True,
        )
    )
