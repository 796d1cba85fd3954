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
            {"{{kind}}": or_none(HERE.rate("handler_errors_total", "kind"))},
        ),
        (
            "Set aside",
            "Tasks that went to the dead-letter queue, by reason.",
            {"{{reason}}": or_none(HERE.rate("tasks_dead_lettered_total", "reason"))},
        ),
        (
            "Given back",
            "Messages returned to the queue, by reason; `drain` is a rollout or a scale-in.",
            {"{{reason}}": or_none(HERE.rate("messages_returned_total", "reason"))},
        ),
        (
            "Done twice, or nearly",
            "Deliveries of what had been delivered before, leases lost, deletions that failed.",
            {
                "redelivered": HERE.rate("messages_redelivered_total"),
                "leases lost": HERE.rate("leases_lost_total"),
                "not deleted": HERE.rate("ack_errors_total"),
                "told again": HERE.rate("tasks_repeated_total"),
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
                "post: {{reason}}": or_none(HERE.rate("tasks_refused_total", "reason")),
                "token: {{reason}}": or_none(HERE.rate("tokens_refused_total", "reason")),
                "id token: {{reason}}": or_none(HERE.rate("id_tokens_refused_total", "reason")),
            },
        ),
        (
            "Guarantees weakened",
            "Times that the record or the shared tokens could not be used, and that a handler blocked its processor.",
            {
                "record: {{operation}}": or_none(HERE.rate("record_unavailable_total", "operation")),
                "shared tokens: {{operation}}": or_none(HERE.rate("shared_tokens_unavailable_total", "operation")),
                "loop blocked": HERE.rate("loop_blocked_total"),
            },
        ),
    ):
        dashboard.with_panel(lines(title, description, "ops", queries))
