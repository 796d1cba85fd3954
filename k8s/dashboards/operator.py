"""The operator: does it keep the stages in order, and what does that cost?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import lines, listing
from k8s.dashboards.queries import Scope, or_none
from k8s.dashboards.variables import board

STAGES = Scope('namespace=~"$namespace",stage=~"$stage"', by=("namespace", "stage"))
NAME = "{{namespace}}/{{stage}}"


def operator() -> Dashboard:
    """Build the dashboard."""
    dashboard = board(
        "notification-operator",
        "notification-api: the operator",
        "Are the stages in order, is their scaling decided upon knowledge, and what does the operator itself do?",
        many=True,
        among='notification_api_operator_stage_first_seen_timestamp_seconds{stage!=""}',
    )
    _stages(dashboard)
    _itself(dashboard)
    return dashboard


def _stages(dashboard: Dashboard) -> None:
    figures = {
        "Last pass": ("s", f"time() - {_largest('operator_last_reconcile_timestamp_seconds')}"),
        "Looked after": ("s", f"time() - {_largest('operator_stage_first_seen_timestamp_seconds')}"),
        "Wait": ("s", _largest("operator_scaling_wait_seconds")),
        "Objective": ("s", _largest("operator_scaling_wait_objective_seconds")),
        "Messages waiting": ("short", _largest("operator_scaling_messages_visible")),
        "Processors ready": ("short", _largest("operator_scaling_replicas_ready")),
        "Wanted": ("short", _largest("operator_scaling_replicas_desired")),
        "Dead letters": ("short", _largest("operator_dead_letters")),
        "Held": ("bool", _largest("operator_scaling_blocked")),
    }
    dashboard.with_row(Row("Stages"))
    dashboard.with_panel(
        listing("Stages", "As the operator sees them: a good pass over each every five minutes.", figures)
    )
    for title, description, unit, query in (
        (
            "Processors wanted",
            "What the scaling policy decided.",
            "short",
            _largest("operator_scaling_replicas_desired"),
        ),
        ("Messages waiting", "Visible on the queue.", "short", _largest("operator_scaling_messages_visible")),
        ("Arrivals", "Tasks accepted a second, as measured.", "ops", _largest("operator_scaling_arrivals_per_second")),
        ("Task time", "Mean time in the handler, as measured.", "s", _largest("operator_scaling_task_seconds")),
    ):
        dashboard.with_panel(lines(title, description, unit, {NAME: query}))


def _largest(metric: str) -> str:
    return f"max by (namespace, stage) ({STAGES.select(metric)})"


def _itself(dashboard: Dashboard) -> None:
    """Series of the operator as a whole, which belong to no stage."""
    dashboard.with_row(Row("The operator itself"))
    for title, description, unit, queries in (
        (
            "Passes",
            "A second, by outcome; anything but `ok` is tried again with backoff.",
            "ops",
            {"{{kind}} {{outcome}}": _rate("reconciles_total", "kind", "outcome")},
        ),
        (
            "Time of a pass",
            "95 % took less.",
            "s",
            {"{{kind}}": f"histogram_quantile(0.95, {_rate('reconcile_duration_seconds_bucket', 'kind', 'le')})"},
        ),
        ("Writes", "To AWS and Momento; none while nothing changes.", "ops", {"writes": _rate("changes_total")}),
        (
            "Kubernetes API",
            "Calls a second.",
            "ops",
            {"{{verb}} {{outcome}}": or_none(_rate("kubernetes_calls_total", "verb", "outcome"))},
        ),
        (
            "Unreadable",
            "Reads of a stage's queue and pods that failed, per second.",
            "ops",
            {"{{source}}": or_none(_unreadable())},
        ),
        (
            "Watch",
            "Since when it has not delivered something that a list shows.",
            "s",
            {"behind": f"max({_name('watch_lag_seconds')})"},
        ),
    ):
        dashboard.with_panel(lines(title, description, unit, queries))


def _rate(metric: str, *by: str) -> str:
    rate = f"rate({_name(metric)}[$__rate_interval])"
    return f"sum by ({', '.join(by)}) ({rate})" if by else f"sum({rate})"


def _unreadable() -> str:
    looks = f'{_name("scaling_observations_total")}{{outcome="unreadable"}}'
    return f"sum by (source) (rate({looks}[$__rate_interval]))"


def _name(metric: str) -> str:
    return f"notification_api_operator_{metric}"
