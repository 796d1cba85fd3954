"""`python -m k8s.metrics_page`: write the tables of docs/reference/metrics.md (`make generate`).

A table follows a comment `<!-- metrics of MODULE -->` and ends at an empty line. The rest is written by hand.
"""

from importlib import import_module
from pathlib import Path

from prometheus_client.metrics import Info, MetricWrapperBase

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/metrics.md"
MODULES = (
    "services.common.telemetry.metrics",
    "services.common.momento.app_context",
    "services.common.momento.history",
    "services.ingest.metrics",
    "services.token.metrics",
    "services.processor.metrics",
    "k8s.operator.metrics",
)
HEAD = "| name | kind | labels | meaning |\n|---|---|---|---|\n"
SUFFIXES = {"counter": "_total", "info": "_info"}
INFO_LABELS = ("version", "service", "stage")


def metrics_page(page: str) -> str:
    """The page with current tables.

    :raises ValueError: when the place of a table is missing.
    """
    for module in MODULES:
        marker = f"<!-- metrics of {module} -->\n"
        before, found, after = page.partition(marker)
        if not found:
            raise ValueError(f"docs/reference/metrics.md needs the line {marker.strip()}")
        _, gap, rest = after.partition("\n\n")
        page = f"{before}{marker}{table(module)}{gap}{rest}"
    return page


def table(module: str) -> str:
    """The metrics that a module defines, one a row, in their order."""
    return HEAD + "\n".join(_row(metric) for metric in metrics_of(module))


def metrics_of(module: str) -> list[MetricWrapperBase]:
    """The metrics that a module defines."""
    return [value for value in vars(import_module(module)).values() if isinstance(value, MetricWrapperBase)]


def _row(metric: MetricWrapperBase) -> str:
    kind = str(metric._type)
    names = INFO_LABELS if isinstance(metric, Info) else metric._labelnames
    labels = ", ".join(f"`{name}`" for name in names)
    return f"| `{metric._name}{SUFFIXES.get(kind, '')}` | {kind} | {labels} | {metric._documentation} |"


if __name__ == "__main__":
    PAGE.write_text(metrics_page(PAGE.read_text()))
