"""What fails in a stage, one panel for each kind."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph
from k8s.dashboards.queries import ONE_STAGE, or_zero


def failures(dashboard: Dashboard) -> None:
    """Add the row: failures a second by reason."""
    dashboard.with_row(Row("What fails?"))
    for title, description, queries in (
        (
            "Handler errors",
            "Failed attempts by kind. Transient ones are retried.",
            {"{{kind}}": or_zero(ONE_STAGE.rare_rate("handler_errors_total", "kind"))},
        ),
        (
            "Dead-lettered",
            "Tasks sent to the dead-letter queue, by reason.",
            {"{{reason}}": or_zero(ONE_STAGE.rare_rate("tasks_dead_lettered_total", "reason"))},
        ),
        (
            "Requeued",
            "Messages returned to the queue, by reason. `drain` is a rollout or a scale-in.",
            {"{{reason}}": or_zero(ONE_STAGE.rare_rate("messages_requeued_total", "reason"))},
        ),
        (
            "Duplicate deliveries",
            "Redelivered messages, lost leases, failed deletions, repeated tasks, republished notifications.",
            {
                "redelivered": ONE_STAGE.rare_rate("messages_redelivered_total"),
                "leases lost": ONE_STAGE.rare_rate("leases_lost_total"),
                "not deleted": ONE_STAGE.rare_rate("acknowledge_errors_total"),
                "processed already": ONE_STAGE.rare_rate("duplicate_deliveries_total"),
                "republished": ONE_STAGE.rare_rate("notifications_republished_total"),
            },
        ),
        (
            "Momento errors",
            "Failed attempts, by operation.",
            {"{{operation}}": ONE_STAGE.error_rate("momento_calls_total", "operation")},
        ),
        (
            "SQS errors",
            "Failed calls, by operation.",
            {"{{operation}}": ONE_STAGE.error_rate("sqs_calls_total", "operation")},
        ),
        (
            "Refused",
            "Refused tasks, disposable tokens and id tokens, by reason.",
            {
                "task: {{reason}}": or_zero(ONE_STAGE.rare_rate("tasks_refused_total", "reason")),
                "token: {{reason}}": or_zero(ONE_STAGE.rare_rate("tokens_refused_total", "reason")),
                "id token: {{reason}}": or_zero(ONE_STAGE.rare_rate("id_tokens_refused_total", "reason")),
            },
        ),
        (
            "Degraded guarantees",
            "Failed calls to the notification history and the shared tokens, and event loops blocked by a handler.",
            {
                "history: {{operation}}": or_zero(ONE_STAGE.rare_rate("history_unavailable_total", "operation")),
                "shared tokens: {{operation}}": or_zero(
                    ONE_STAGE.rare_rate("shared_tokens_unavailable_total", "operation")
                ),
                "event loop blocked": ONE_STAGE.rare_rate("event_loop_blocked_total"),
            },
        ),
    ):
        dashboard.with_panel(graph(title, description, "ops", queries))
    dashboard.with_panel(
        graph(
            "Messages in the dead-letter queue",
            "As the operator reads them, with those that SQS moved by itself; without the operator there is no data.",
            "short",
            {"messages": f"max({ONE_STAGE.select('operator_dead_letters')})"},
        )
    )
