"""The metrics that a module defines, one a row, in their order."""

from importlib import import_module

from prometheus_client.metrics import Info, MetricWrapperBase

from k8s.docs_site.markdown import code, table

MODULES = (
    "services.common.telemetry.metrics",
    "services.common.momento.app_context",
    "services.common.momento.history",
    "services.ingest.metrics",
    "services.token.metrics",
    "services.processor.metrics",
    "k8s.operator.metrics",
)
SUFFIXES = {"counter": "_total", "info": "_info"}
INFO_LABELS = ("version", "service", "stage")


def metrics(module: str) -> str:
    """The table of a module."""
    return table(("name", "kind", "labels", "meaning"), map(_row, metrics_of(module)))


def metrics_of(module: str) -> list[MetricWrapperBase]:
    """The metrics that a module defines."""
    return [value for value in vars(import_module(module)).values() if isinstance(value, MetricWrapperBase)]


def _row(metric: MetricWrapperBase) -> tuple[str, ...]:
    kind = str(metric._type)
    names = INFO_LABELS if isinstance(metric, Info) else metric._labelnames
    labels = ", ".join(map(code, names))
    return code(metric._name + SUFFIXES.get(kind, "")), kind, labels, metric._documentation
