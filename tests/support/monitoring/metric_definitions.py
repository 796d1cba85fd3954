"""The samples that the code defines with their labels, and those that an expression selects."""

import re
from typing import Any

from prometheus_client.metrics import Info, MetricWrapperBase

from k8s.docs_site.metrics import INFO_LABELS, MODULES, metrics_of

OPERATOR = "k8s.operator.metrics"
TARGET = frozenset({"namespace", "stage", "service", "pod"})
"""What the PodMonitor adds to a service's series; the operator's own say which stage they are about."""
ENDINGS = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "info": ("_info",),
}


def samples_of(metric: Any) -> set[str]:
    """The names of a metric's samples."""
    (family,) = metric.describe()
    return {family.name + ending for ending in ENDINGS.get(family.type, ("",))}


def labels_by_sample() -> dict[str, set[str]]:
    """The labels that each sample can have."""
    return {
        name: _labels(metric, name) | (frozenset({"job"}) if module == OPERATOR else TARGET)
        for module in MODULES
        for metric in metrics_of(module)
        for name in samples_of(metric)
    }


def unknown_labels(expression: str, legend: str = "") -> list[str]:
    """Labels in an expression or legend that none of its series can have."""
    defined = labels_by_sample()
    selectors = [
        (
            name,
            defined[name] if name in defined else _foreign_labels(name),
            re.findall(r"(\w+)(?:=~|!~|!=|=)\"", matchers),
        )
        for name, matchers in re.findall(r"(?<![\w:$])([a-z][\w:]+)\{([^}]*)\}", expression)
    ]
    bare = [
        defined[name] for name in re.findall(r"(?<![\w:])notification_api_\w+(?![\w{])", expression) if name in defined
    ]
    common = set.intersection(*bare, *(labels for _, labels, _ in selectors)) if bare or selectors else set()
    groupings = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    kept = [label for grouping in groupings for label in grouping.split(", ")] + re.findall(r"\{\{(\w+)\}\}", legend)
    wrong = [f"{name}: no label {label}" for name, labels, asked in selectors for label in asked if label not in labels]
    return wrong + [f"no label {label} in {expression}" for label in kept if label not in common]


def _foreign_labels(name: str) -> set[str]:
    """The labels of recorded series, and of the series that every process and target has."""
    return {"namespace", "stage"} if ":" in name else set(TARGET)


def _labels(metric: MetricWrapperBase, name: str) -> set[str]:
    if isinstance(metric, Info):
        return set(INFO_LABELS)
    return {*metric._labelnames, *(["le"] if name.endswith("_bucket") else [])}
