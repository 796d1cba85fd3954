"""What runs in a stage: pods, versions, memory, CPU and traffic to Momento."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from k8s.dashboards.panels import graph
from k8s.dashboards.queries import ONE_STAGE, or_zero


def runtime(dashboard: Dashboard) -> None:
    """Add the row."""
    dashboard.with_row(Row("What runs?"))
    for title, description, unit, queries in (
        (
            "Ready pods",
            "Pods that report that they are ready, by service.",
            "short",
            {"{{service}}": ONE_STAGE.total(ONE_STAGE.select("ready"), "service")},
        ),
        (
            "Versions",
            "Pods by version. There are two versions during a rollout only.",
            "short",
            {"{{version}}": f"count by (version) ({ONE_STAGE.select('build_info')})"},
        ),
        (
            "Memory",
            "Resident memory of the largest pod of each service.",
            "bytes",
            {"{{service}}": f"max by (service) ({ONE_STAGE.select('process_resident_memory_bytes')})"},
        ),
        (
            "CPU",
            "Cores in use, by service.",
            "short",
            {"{{service}}": ONE_STAGE.rate("process_cpu_seconds_total", "service")},
        ),
        (
            "Disposable tokens",
            "Per second: vended by Momento, or answered from a cache (memory: the pod's own; shared: another pod's).",
            "ops",
            {
                "vended": ONE_STAGE.rate("tokens_vended_total"),
                "{{where}}": or_zero(ONE_STAGE.rate("tokens_cached_total", "where")),
            },
        ),
        (
            "Notifications",
            "Published per second by status, and dropped progress. Publishing and delivery use Momento's quota.",
            "ops",
            {
                "{{status}}": or_zero(ONE_STAGE.rate("notifications_published_total", "status")),
                "dropped progress": ONE_STAGE.rate("progress_dropped_total"),
            },
        ),
    ):
        dashboard.with_panel(graph(title, description, unit, queries))
