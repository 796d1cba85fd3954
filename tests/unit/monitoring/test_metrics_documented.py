"""docs/metrics.md names every metric of the code with its labels, and no other; names and units are of one kind."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

import k8s.operator.metrics
import services.common.momento.app_context
import services.common.telemetry.metrics
import services.ingest.metrics
import services.processor.metrics
import services.token.metrics

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/metrics.md"
MODULES = (
    *(k8s.operator.metrics, services.common.telemetry.metrics, services.common.momento.app_context),
    *(services.ingest.metrics, services.processor.metrics, services.token.metrics),
)
METRICS = {
    next(iter(metric.describe())).name: metric
    for module in MODULES
    for metric in vars(module).values()
    if isinstance(metric, MetricWrapperBase)
}
ENDINGS = {"counter": "_total", "info": "_info"}
# What would grow with users, tasks or time.
UNBOUNDED = {"user", "user_id", "task_id", "message_id", "path", "url", "error", "message"}


def documented() -> dict[str, tuple[str, str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: (kind, labels, meaning) for name, kind, labels, meaning in rows}


def test_every_metric_is_in_the_document_and_no_other() -> None:
    assert set(documented()) == {name + ENDINGS.get(str(metric._type), "") for name, metric in METRICS.items()}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_its_row_says_what_the_code_says(name: str) -> None:
    metric = METRICS[name]
    kind, labels, meaning = documented()[name + ENDINGS.get(str(metric._type), "")]
    assert kind == metric._type
    assert meaning == metric._documentation
    if metric._type != "info":
        assert re.findall(r"`(\w+)`", labels) == list(metric._labelnames)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_names_have_our_prefix_and_base_units_and_labels_are_bounded(name: str) -> None:
    metric = METRICS[name]
    assert name.startswith("notification_api_")
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name)
    assert metric._type != "histogram" or name.endswith("_seconds")
    assert not set(metric._labelnames) & UNBOUNDED


def test_objectives_are_bounds_of_the_buckets() -> None:
    assert 0.1 in services.common.telemetry.metrics.REQUEST_BUCKETS
    assert {10, 30} <= set(services.processor.metrics.WAIT_BUCKETS)
