"""What goes wrong in a stage, one panel a kind."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import lines
from k8s.dashboards.queries import HERE, errors, or_none


def failing(dashboard: Dashboard) -> None:
    """Failures, a second, by reason."""
    dashboard.with_row(Row("What fails?"))
    for title, description, queries in (
        (
            "Handler errors",
            "Attempts that did not finish, by kind: transient ones are tried again.",
            {"{{kind}}": or_none(HERE.seldom("handler_errors_total", "kind"))},
        ),
        (
            "Set aside",
            "Tasks that went to the dead-letter queue, by reason.",
            {"{{reason}}": or_none(HERE.seldom("tasks_dead_lettered_total", "reason"))},
        ),
        (
            "Given back",
            "Messages returned to the queue, by reason; `drain` is a rollout or a scale-in.",
            {"{{reason}}": or_none(HERE.seldom("messages_requeued_total", "reason"))},
        ),
        (
            "Done twice, or nearly",
            "Deliveries of what had been delivered before, leases lost, deletions that failed, copies on the topic.",
            {
                "redelivered": HERE.seldom("messages_redelivered_total"),
                "leases lost": HERE.seldom("leases_lost_total"),
                "not deleted": HERE.seldom("acknowledge_errors_total"),
                "told again": HERE.seldom("duplicate_deliveries_total"),
                "published again": HERE.seldom("notifications_republished_total"),
            },
        ),
        (
            "Momento",
            "Attempts that failed, by operation.",
            {"{{operation}}": errors(HERE, "momento_calls_total", "operation")},
        ),
        ("SQS", "Calls that failed, by operation.", {"{{operation}}": errors(HERE, "sqs_calls_total", "operation")}),
        (
            "Refused",
            "Posts, disposable tokens and id tokens refused, by reason.",
            {
                "post: {{reason}}": or_none(HERE.seldom("tasks_refused_total", "reason")),
                "token: {{reason}}": or_none(HERE.seldom("tokens_refused_total", "reason")),
                "id token: {{reason}}": or_none(HERE.seldom("id_tokens_refused_total", "reason")),
            },
        ),
        (
            "Guarantees weakened",
            "Times that the record or the shared tokens could not be used, and that a handler blocked its processor.",
            {
                "record: {{operation}}": or_none(HERE.seldom("history_unavailable_total", "operation")),
                "shared tokens: {{operation}}": or_none(HERE.seldom("shared_tokens_unavailable_total", "operation")),
                "loop blocked": HERE.seldom("event_loop_blocked_total"),
            },
        ),
    ):
        dashboard.with_panel(lines(title, description, "ops", queries))
    dashboard.with_panel(
        lines(
            "In the dead-letter queue",
            "Messages there, as the operator sees it, also those that SQS moved by itself; nothing without it.",
            "short",
            {"messages": f"max({HERE.select('operator_dead_letters')})"},
        )
    )
