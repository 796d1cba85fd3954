"""Where a task spends its time: waiting, in the handler, with Momento and SQS."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import heat, lines
from k8s.dashboards.queries import HERE, SHARES

TELLING = 'operation=~"publish|dictionary-set"'


def waiting(dashboard: Dashboard) -> None:
    """How long tasks wait, and where."""
    dashboard.with_row(Row("How long do tasks wait?"))
    dashboard.with_panel(
        lines(
            "Wait in the queue",
            "From acknowledgement to the start of the handler, first deliveries only.",
            "s",
            {legend: HERE.quantile(share, "queue_wait_seconds") for legend, share in SHARES.items()},
        )
    )
    dashboard.with_panel(
        heat("Waits", "How many tasks waited how long.", "s", HERE.growth("queue_wait_seconds_bucket", "le"))
    )
    dashboard.with_panel(
        lines(
            "On the queue",
            "What SQS says, as the operator sees it; nothing without it.",
            "short",
            {
                "wait": f"max({HERE.select('operator_scaling_messages_visible')})",
                "with a processor": f"max({HERE.select('operator_scaling_messages_in_flight')})",
            },
        )
    )
    dashboard.with_panel(
        lines(
            "Backlog",
            "Since when the operator has not seen the queue without waiting tasks: none has waited for longer.",
            "s",
            {"at most": f"max({HERE.select('operator_backlog_seconds')})"},
        )
    )
    dashboard.with_panel(
        lines(
            "In the processors",
            "Tasks in a slot, and messages held without one: beyond their user's share, or just ahead of a free slot.",
            "short",
            {
                "in a slot": HERE.total(HERE.select("tasks_in_process")),
                "waiting for a slot": HERE.total(HERE.select("tasks_waiting")),
            },
        )
    )


def time_spent(dashboard: Dashboard) -> None:
    """What a task's time is made of."""
    dashboard.with_row(Row("Where is the time spent?"))
    dashboard.with_panel(
        lines(
            "A task's time by part",
            "Means, one upon the other: waiting, the handler, writing the record and publishing (each call by itself).",
            "s",
            {
                "wait": HERE.mean("queue_wait_seconds"),
                "handler": HERE.mean("task_duration_seconds"),
                "{{operation}}": HERE.mean("momento_call_duration_seconds", "operation", where=(TELLING,)),
            },
            stacked=True,
        )
    )
    dashboard.with_panel(
        lines(
            "Handler",
            "Time in the task handler, by how it ended.",
            "s",
            {
                "{{outcome}}, half below": HERE.quantile(0.5, "task_duration_seconds", "outcome"),
                "{{outcome}}, 95 % below": HERE.quantile(0.95, "task_duration_seconds", "outcome"),
            },
        )
    )
    dashboard.with_panel(
        lines(
            "Calls to Momento",
            "95 % of the attempts took less.",
            "s",
            {"{{operation}}": HERE.quantile(0.95, "momento_call_duration_seconds", "operation")},
        )
    )
    dashboard.with_panel(
        lines(
            "Calls to SQS",
            "Calls a second; under load one carries up to ten messages.",
            "ops",
            {"{{operation}}": HERE.rate("sqs_calls_total", "operation")},
        )
    )
