"""Whether a stage has the processor pods that it needs."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph
from k8s.dashboards.queries import ONE_STAGE


def scaling(dashboard: Dashboard) -> None:
    """Add the row: pods, slots, and the operator's decisions."""
    dashboard.with_row(Row("Is the processor scaled?"))
    dashboard.with_panel(
        graph(
            "Processor pods",
            "Pods that report that they are ready. With the operator: the replicas that its policy calculates and those"
            " that the Deployment has.",
            "short",
            {
                "ready": ONE_STAGE.total(ONE_STAGE.select("ready", 'service="processor"')),
                "desired": f"max({ONE_STAGE.select('operator_scaling_replicas_desired')})",
                "replicas": f"max({ONE_STAGE.select('operator_scaling_replicas')})",
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Slots",
            "Tasks that can run at the same time, and those that run.",
            "short",
            {
                "slots": ONE_STAGE.total(ONE_STAGE.select("slots")),
                "in use": ONE_STAGE.total(ONE_STAGE.select("tasks_in_process")),
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Tasks accepted and processed",
            "Per second, processed by outcome. The backlog grows while more become available than are processed.",
            "ops",
            {
                "accepted": ONE_STAGE.rate("tasks_accepted_total"),
                "available (its delay has passed)": ONE_STAGE.rate("tasks_available_total"),
                "{{outcome}}": ONE_STAGE.rate("tasks_processed_total", "outcome"),
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Wait and wait objective",
            "The mean wait that the operator measures, and its objective.",
            "s",
            {
                "wait": f"max({ONE_STAGE.select('operator_scaling_wait_seconds')})",
                "objective": f"max({ONE_STAGE.select('operator_scaling_wait_objective_seconds')})",
            },
        )
    )
    dashboard.with_panel(
        graph(
            "Scaling decisions",
            "Decisions of the operator per second, by reason.",
            "ops",
            {"{{reason}}": ONE_STAGE.rate("operator_scaling_decisions_total", "reason")},
            stacked=True,
        )
    )
    dashboard.with_panel(
        graph(
            "Scaling blocked",
            "1 while the operator keeps the replicas as they are: it cannot read what it needs to decide, or more pods"
            " would not help.",
            "bool",
            {"blocked": f"max({ONE_STAGE.select('operator_scaling_blocked')})"},
        )
    )
