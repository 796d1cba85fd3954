"""Names, units and labels of all metrics follow our rules, and docs/reference/metrics.md has all of them."""

import re

import pytest

import services.common.telemetry.metrics
import services.processor.metrics
from k8s.docs_site.metrics import MODULES, metrics_of
from k8s.docs_site.pages import FOLDER

METRICS = {metric._name: metric for module in MODULES for metric in metrics_of(module)}
# What would grow with users, tasks or time.
UNBOUNDED = {"user", "user_id", "task_id", "message_id", "path", "url", "error", "message"}


def test_the_page_has_a_row_for_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+?)(?:_total|_info)?` \|", (FOLDER / "reference/metrics.md").read_text(), re.MULTILINE)
    assert sorted(row for row in rows if row.startswith("notification_api_")) == sorted(METRICS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_names_have_our_prefix_and_base_units_and_labels_are_bounded(name: str) -> None:
    metric = METRICS[name]
    assert name.startswith("notification_api_")
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name)
    assert metric._type != "histogram" or name.endswith("_seconds")
    assert not set(metric._labelnames) & UNBOUNDED
    assert metric._documentation


def test_objectives_are_bounds_of_the_buckets() -> None:
    assert 0.1 in services.common.telemetry.metrics.REQUEST_BUCKETS
    assert {10, 30} <= set(services.processor.metrics.WAIT_BUCKETS)
