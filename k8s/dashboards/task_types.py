"""The tasks of a stage by type, and what users do with them: follow and cancel."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph
from k8s.dashboards.queries import ONE_STAGE, or_zero

FINISHED = ('outcome="finished"',)
FAILED = ('outcome="failed"',)


def task_types(dashboard: Dashboard) -> None:
    """Add the row: how many tasks of each type end, and how long they take."""
    dashboard.with_row(Row("Which task types?"))
    for title, description, unit, queries in (
        (
            "Finished by type",
            "Tasks finished per second, by type.",
            "ops",
            {"{{type}}": or_zero(ONE_STAGE.rare_rate("tasks_processed_total", "type", where=FINISHED))},
        ),
        (
            "Failed by type",
            "Tasks that failed for good per second, by type. Cancelled and expired tasks are not among them.",
            "ops",
            {"{{type}}": or_zero(ONE_STAGE.rare_rate("tasks_processed_total", "type", where=FAILED))},
        ),
        (
            "Handler by type",
            "Time in the task handler, by type.",
            "s",
            {
                "{{type}} p50": ONE_STAGE.quantile(0.5, "task_duration_seconds", "type"),
                "{{type}} p95": ONE_STAGE.quantile(0.95, "task_duration_seconds", "type"),
            },
        ),
        (
            "Running by type",
            "Tasks that run now. `concurrency` of a type limits them in each pod.",
            "short",
            {"{{type}}": ONE_STAGE.total(ONE_STAGE.select("tasks_running"), "type")},
        ),
        (
            "Wait by type",
            "Wait in the queue until the start of the handler, 95th percentile. From the end of a delay.",
            "s",
            {"{{type}}": ONE_STAGE.quantile(0.95, "queue_wait_seconds", "type")},
        ),
        (
            "Handler errors by type",
            "Failed attempts per second, by type. Transient ones are retried.",
            "ops",
            {"{{type}}": or_zero(ONE_STAGE.rare_rate("handler_errors_total", "type"))},
        ),
    ):
        dashboard.with_panel(graph(title, description, unit, queries))


def following(dashboard: Dashboard) -> None:
    """Add the row: status reads, cancelled and expired tasks."""
    dashboard.with_row(Row("What do users follow and cancel?"))
    for title, description, queries in (
        (
            "Cancelled and expired",
            "Tasks per second that were cancelled, by their status before, or that expired before they ran.",
            {
                "cancelled while {{status}}": or_zero(ONE_STAGE.rare_rate("tasks_cancelled_total", "status")),
                "expired": ONE_STAGE.rare_rate("tasks_expired_total"),
            },
        ),
        (
            "Cancel requests",
            "POST /task/{taskId}/cancel per second, by outcome, and polls for such requests by the processors.",
            {
                "request: {{outcome}}": or_zero(ONE_STAGE.rare_rate("cancel_requests_total", "outcome")),
                "poll: {{outcome}}": ONE_STAGE.rate("cancel_polls_total", "outcome"),
            },
        ),
        (
            "Status reads",
            "GET /task/{taskId} and its result per second, by the status or by why there is none.",
            {"{{outcome}}": or_zero(ONE_STAGE.rare_rate("status_reads_total", "outcome"))},
        ),
        (
            "Status writes",
            "Statuses that processors store per second, for tasks that run for 2 s or are retried.",
            {"{{outcome}}": or_zero(ONE_STAGE.rare_rate("status_writes_total", "outcome"))},
        ),
    ):
        dashboard.with_panel(graph(title, description, "ops", queries))
