"""Where the time of a task is spent: waiting, in the handler, in calls to Momento and SQS."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph, heatmap_of
from k8s.dashboards.queries import ONE_STAGE, QUANTILES

NOTIFYING = 'operation=~"publish|dictionary-set"'
"""Storing and publishing a notification."""


def waiting(dashboard: Dashboard) -> None:
    """Add the row on waits."""
    dashboard.with_row(Row("How long do tasks wait?"))
    dashboard.with_panel(
        graph(
            "Wait in the queue",
            "From SQS' acknowledgement, or the end of the delay, to the start of the handler; first deliveries only.",
            "s",
            {name: ONE_STAGE.quantile(share, "queue_wait_seconds") for name, share in QUANTILES.items()},
        )
    )
    dashboard.with_panel(
        heatmap_of(
            "Distribution of waits",
            "Number of tasks by their wait in the queue.",
            "s",
            ONE_STAGE.increase("queue_wait_seconds_bucket", "le"),
        )
    )
    dashboard.with_panel(
        graph(
            "Messages in the queue",
            "SQS' counts as the operator reads them; without the operator there is no data.",
            "short",
            {
                "waiting": f"max({ONE_STAGE.select('operator_scaling_messages_visible')})",
                "received by a processor": f"max({ONE_STAGE.select('operator_scaling_messages_in_flight')})",
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Time since the queue was empty",
            "As the operator reads it. No message has waited for longer.",
            "s",
            {"upper bound of the wait": f"max({ONE_STAGE.select('operator_backlog_seconds')})"},
        )
    )
    dashboard.with_panel(
        graph(
            "Messages in the processors",
            "Running tasks, and messages that wait for a slot: their user has its share of the slots, or they were"
            " received shortly before a slot becomes free.",
            "short",
            {
                "running": ONE_STAGE.total(ONE_STAGE.select("tasks_in_process")),
                "waiting for a slot": ONE_STAGE.total(ONE_STAGE.select("tasks_waiting")),
            },
        )
    )


def task_time(dashboard: Dashboard) -> None:
    """Add the row on the parts of a task's time."""
    dashboard.with_row(Row("Where is the time spent?"))
    dashboard.with_panel(
        graph(
            "Mean time of a task by part",
            "Stacked: the wait, the handler, storing and publishing the notification (a call each).",
            "s",
            {
                "wait": ONE_STAGE.mean("queue_wait_seconds"),
                "handler": ONE_STAGE.mean("task_duration_seconds"),
                "{{operation}}": ONE_STAGE.mean("momento_call_duration_seconds", "operation", where=(NOTIFYING,)),
            },
            stacked=True,
        )
    )
    dashboard.with_panel(
        graph(
            "Handler",
            "Time in the task handler, by outcome.",
            "s",
            {
                "{{outcome}} p50": ONE_STAGE.quantile(0.5, "task_duration_seconds", "outcome"),
                "{{outcome}} p95": ONE_STAGE.quantile(0.95, "task_duration_seconds", "outcome"),
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Momento calls",
            "Time of an attempt, 95th percentile by operation.",
            "s",
            {"{{operation}}": ONE_STAGE.quantile(0.95, "momento_call_duration_seconds", "operation")},
        )
    )
    dashboard.with_panel(
        graph(
            "SQS calls",
            "Calls per second by operation. Under load one call carries up to ten messages.",
            "ops",
            {"{{operation}}": ONE_STAGE.rate("sqs_calls_total", "operation")},
        )
    )
