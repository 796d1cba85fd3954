"""Every sample that the code defines, with the labels that it can have; and what an expression asks of them."""

import re
from typing import Any

from prometheus_client.metrics import Info, MetricWrapperBase

import k8s.operator.metrics
import services.common.momento.app_context
import services.common.telemetry.metrics
import services.ingest.metrics
import services.processor.metrics
import services.token.metrics

SERVICES = (
    *(services.common.telemetry.metrics, services.common.momento.app_context),
    *(services.ingest.metrics, services.processor.metrics, services.token.metrics),
)
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


def metrics_of(module: object) -> list[MetricWrapperBase]:
    return [value for value in vars(module).values() if isinstance(value, MetricWrapperBase)]


def labels_by_sample() -> dict[str, set[str]]:
    """The labels of each sample of ours."""
    found = {
        name: _labels(metric, name) | TARGET
        for module in SERVICES
        for metric in metrics_of(module)
        for name in samples_of(metric)
    }
    for metric in metrics_of(k8s.operator.metrics):
        found |= {name: _labels(metric, name) | {"job"} for name in samples_of(metric)}
    return found


def unknown_labels(expression: str, legend: str = "") -> list[str]:
    """What an expression asks for that none of its series can have."""
    ours = labels_by_sample()
    selectors = [
        (name, ours[name] if name in ours else _of_others(name), re.findall(r"(\w+)(?:=~|!~|!=|=)\"", matchers))
        for name, matchers in re.findall(r"(?<![\w:$])([a-z][\w:]+)\{([^}]*)\}", expression)
    ]
    bare = [ours[name] for name in re.findall(r"(?<![\w:])notification_api_\w+(?![\w{])", expression) if name in ours]
    common = set.intersection(*bare, *(labels for _, labels, _ in selectors)) if bare or selectors else set()
    groupings = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    kept = [label for grouping in groupings for label in grouping.split(", ")] + re.findall(r"\{\{(\w+)\}\}", legend)
    wrong = [f"{name}: no label {label}" for name, labels, asked in selectors for label in asked if label not in labels]
    return wrong + [f"no label {label} in {expression}" for label in kept if label not in common]


def _of_others(name: str) -> set[str]:
    """Of recorded series, and of those that every process and target has."""
    return {"namespace", "stage"} if ":" in name else set(TARGET)


def _labels(metric: MetricWrapperBase, name: str) -> set[str]:
    if isinstance(metric, Info):
        return {"version", "service", "stage"}
    return {*metric._labelnames, *(["le"] if name.endswith("_bucket") else [])}
