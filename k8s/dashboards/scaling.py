"""Whether a stage has the processors that it needs, and what it runs."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import lines
from k8s.dashboards.queries import HERE, or_none


def scaling(dashboard: Dashboard) -> None:
    """Processors, slots, and the operator's decisions."""
    dashboard.with_row(Row("Is it scaling?"))
    dashboard.with_panel(
        lines(
            "Processors",
            "Pods that say that they are ready; with the operator, what it wants and what it has asked for.",
            "short",
            {
                "ready": HERE.total(HERE.select("ready", 'service="processor"')),
                "wanted": f"max({HERE.select('operator_scaling_replicas_desired')})",
                "asked for": f"max({HERE.select('operator_scaling_replicas')})",
            },
        )
    )
    dashboard.with_panel(
        lines(
            "Slots",
            "Tasks that can be worked on at once, and those in use.",
            "short",
            {"there": HERE.total(HERE.select("slots")), "in use": HERE.total(HERE.select("tasks_in_process"))},
        )
    )
    dashboard.with_panel(
        lines(
            "In and out",
            "Tasks accepted and dealt with, a second. In above out is a backlog that grows.",
            "ops",
            {
                "accepted": HERE.rate("tasks_accepted_total"),
                "{{outcome}}": HERE.rate("tasks_processed_total", "outcome"),
            },
        )
    )
    dashboard.with_panel(
        lines(
            "The operator's view of the wait",
            "The mean wait that it measures, and the one that it is to keep.",
            "s",
            {
                "measured": f"max({HERE.select('operator_scaling_wait_seconds')})",
                "objective": f"max({HERE.select('operator_scaling_wait_objective_seconds')})",
            },
        )
    )
    dashboard.with_panel(
        lines(
            "Decisions",
            "The operator's decisions a second, by reason.",
            "ops",
            {"{{reason}}": HERE.rate("operator_scaling_decisions_total", "reason")},
            stacked=True,
        )
    )
    dashboard.with_panel(
        lines(
            "Held",
            "1 while replicas are kept because something that is needed for a decision could not be read.",
            "bool",
            {"held": f"max({HERE.select('operator_scaling_blocked')})"},
        )
    )


def running(dashboard: Dashboard) -> None:
    """Pods, versions, memory, CPU and traffic."""
    dashboard.with_row(Row("What runs?"))
    for title, description, unit, queries in (
        (
            "Pods ready",
            "Pods that say that they are ready, by service.",
            "short",
            {"{{service}}": HERE.total(HERE.select("ready"), "service")},
        ),
        (
            "Versions",
            "Pods by version: two of them during a rollout only.",
            "short",
            {"{{version}}": f"count by (version) ({HERE.select('build_info')})"},
        ),
        (
            "Memory",
            "The largest pod of each service.",
            "bytes",
            {"{{service}}": f"max by (service) ({HERE.select('process_resident_memory_bytes')})"},
        ),
        (
            "CPU",
            "Cores in use, by service.",
            "short",
            {"{{service}}": HERE.rate("process_cpu_seconds_total", "service")},
        ),
        (
            "Disposable tokens",
            "Vended by Momento, and answered without (memory: this pod's own; shared: another's).",
            "ops",
            {
                "vended": HERE.rate("tokens_vended_total"),
                "{{where}}": or_none(HERE.rate("tokens_cached_total", "where")),
            },
        ),
        (
            "Notifications",
            "Published, by status, and progress left out. Each counts against Momento's quota, as does its delivery.",
            "ops",
            {
                "{{status}}": or_none(HERE.rate("notifications_published_total", "status")),
                "progress left out": HERE.rate("progress_dropped_total"),
            },
        ),
    ):
        dashboard.with_panel(lines(title, description, unit, queries))
