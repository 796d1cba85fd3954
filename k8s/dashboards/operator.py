"""The dashboard of the operator: are the stages reconciled and scaled, and what does the operator do?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import dashboard_of, graph, table_of_stages
from k8s.dashboards.queries import ALL_STAGES, or_zero

NAME = "{{namespace}}/{{stage}}"


def operator() -> Dashboard:
    """Build the dashboard."""
    dashboard = dashboard_of(
        "notification-operator",
        "notification-api: operator",
        "Are the stages reconciled, can the operator decide on their scaling, and what does it do itself?",
        many=True,
        series='notification_api_operator_stage_first_seen_timestamp_seconds{stage!=""}',
    )
    _stages(dashboard)
    _operator(dashboard)
    return dashboard


def _stages(dashboard: Dashboard) -> None:
    columns = {
        "Since last reconcile": ("s", f"time() - {_largest('operator_last_reconcile_timestamp_seconds')}"),
        "Managed since": ("s", f"time() - {_largest('operator_stage_first_seen_timestamp_seconds')}"),
        "Wait": ("s", _largest("operator_scaling_wait_seconds")),
        "Wait objective": ("s", _largest("operator_scaling_wait_objective_seconds")),
        "Backlog": ("short", _largest("operator_scaling_messages_visible")),
        "Ready processor pods": ("short", _largest("operator_scaling_replicas_ready")),
        "Desired": ("short", _largest("operator_scaling_replicas_desired")),
        "Dead letters": ("short", _largest("operator_dead_letters")),
        "Scaling blocked": ("bool", _largest("operator_scaling_blocked")),
    }
    dashboard.with_row(Row("Stages"))
    dashboard.with_panel(
        table_of_stages("Stages", "As the operator sees them. Each is reconciled every five minutes.", columns)
    )
    for title, description, unit, query in (
        (
            "Desired processor pods",
            "Replicas that the scaling policy calculated.",
            "short",
            _largest("operator_scaling_replicas_desired"),
        ),
        ("Backlog", "Visible messages in the queue.", "short", _largest("operator_scaling_messages_visible")),
        (
            "Arrivals",
            "Tasks accepted per second, as measured.",
            "ops",
            _largest("operator_scaling_arrivals_per_second"),
        ),
        ("Task time", "Mean time in the handler, as measured.", "s", _largest("operator_scaling_task_seconds")),
    ):
        dashboard.with_panel(graph(title, description, unit, {NAME: query}))


def _largest(metric: str) -> str:
    return f"max by (namespace, stage) ({ALL_STAGES.select(metric)})"


def _operator(dashboard: Dashboard) -> None:
    """Series of the operator as a whole, which belong to no stage."""
    dashboard.with_row(Row("Operator"))
    for title, description, unit, queries in (
        (
            "Reconciles",
            "Per second, by kind and outcome. Any outcome but `ok` is retried with backoff.",
            "ops",
            {"{{kind}} {{outcome}}": _rate("reconciles_total", "kind", "outcome")},
        ),
        (
            "Reconcile duration",
            "95th percentile.",
            "s",
            {"{{kind}}": f"histogram_quantile(0.95, {_rate('reconcile_duration_seconds_bucket', 'kind', 'le')})"},
        ),
        (
            "Changes",
            "Writes to AWS and Momento per second; none while nothing changes.",
            "ops",
            {"changes": _rate("changes_total")},
        ),
        (
            "Kubernetes API",
            "Calls per second.",
            "ops",
            {"{{verb}} {{outcome}}": or_zero(_rate("kubernetes_calls_total", "verb", "outcome"))},
        ),
        (
            "Unreadable sources",
            "Reads of a stage's queue and pods that failed, per second.",
            "ops",
            {"{{source}}": or_zero(_unreadable())},
        ),
        (
            "Watch lag",
            "Time for which the watch has not delivered something that a list returns.",
            "s",
            {"lag": f"max({_name('watch_lag_seconds')})"},
        ),
    ):
        dashboard.with_panel(graph(title, description, unit, queries))


def _rate(metric: str, *by: str) -> str:
    rate = f"rate({_name(metric)}[$__rate_interval])"
    return f"sum by ({', '.join(by)}) ({rate})" if by else f"sum({rate})"


def _unreadable() -> str:
    observations = f'{_name("scaling_observations_total")}{{outcome="unreadable"}}'
    return f"sum by (source) (rate({observations}[$__rate_interval]))"


def _name(metric: str) -> str:
    return f"notification_api_operator_{metric}"
