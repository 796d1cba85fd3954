"""The generated dashboards and rules are current, and panels are complete, bound to the chosen stages and bounded."""

import json
import re
from pathlib import Path

import pytest

from k8s.dashboards.files import generated_files
from k8s.docs_site.metrics import MODULES, metrics_of
from tests.support.monitoring.dashboard_queries import DASHBOARDS, panels, queries
from tests.support.monitoring.metric_definitions import OPERATOR, TARGET, labels_by_sample, samples_of, unknown_labels

ROOT = Path(__file__).resolve().parents[2]
# What a series may be split by: none of them grows with users or tasks.
BOUNDED = {
    *("namespace", "stage", "service", "version", "le"),
    *("status", "reason", "outcome", "kind", "operation", "where", "verb", "source", "type"),
}
every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_the_generated_files_are_current() -> None:
    files = generated_files()
    assert set(DASHBOARDS) == {path for path in files if path.suffix == ".json"}
    for path, text in files.items():
        assert path.read_text() == text, f"{path.name} is out of date: make generate"


@every_dashboard
def test_every_panel_has_title_description_and_unit(path: Path) -> None:
    for panel in panels(path):
        assert panel["title"]
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


@every_dashboard
def test_panels_have_unique_ids_and_do_not_overlap(path: Path) -> None:
    board = json.loads(path.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@every_dashboard
def test_the_reader_chooses_data_source_namespace_and_stage(path: Path) -> None:
    board = json.loads(path.read_text())
    variables = {one["name"]: one["type"] for one in board["templating"]["list"]}
    assert variables == {"datasource": "datasource", "namespace": "query", "stage": "query"}
    for panel in panels(path):
        for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


@every_dashboard
def test_every_selector_is_bound_to_the_chosen_stages(path: Path) -> None:
    for query in queries(path):
        selectors = re.findall(r"(?<![\w:])((?:notification_api|process_)[\w:]*)(?:\{([^}]*)\})?", query.expression)
        assert selectors
        for name, matchers in selectors:
            is_bound = re.match(r'namespace=~?"\$namespace",stage=~?"\$stage"', matchers) is not None
            assert is_bound is (name not in _of_the_operator_itself()), query


@every_dashboard
def test_labels_are_bounded(path: Path) -> None:
    for query in queries(path):
        for grouping in re.findall(r"\bby \(([^)]*)\)", query.expression):
            assert set(grouping.split(", ")) <= BOUNDED, query
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= BOUNDED, query


@every_dashboard
def test_every_metric_and_label_exists_in_the_code(path: Path) -> None:
    known = labels_by_sample()
    for query in queries(path):
        for name in re.findall(r"(?<![\w:])notification_api_\w+", query.expression):
            assert name in known, query
        assert unknown_labels(query.expression, query.legend) == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - {OPERATOR}))
def test_no_metric_of_a_service_has_a_label_that_the_pod_monitor_adds(module: str) -> None:
    """Prometheus would rename it to `exported_…`."""
    clashes = {one._name: TARGET.intersection(one._labelnames) for one in metrics_of(module)}
    assert {name: labels for name, labels in clashes.items() if labels} == {}


def test_a_label_that_no_series_has_is_found() -> None:
    total = 'notification_api_tasks_refused_total{stage="$stage"}'
    assert unknown_labels(f"sum by (reason) (rate({total}[5m]))", "{{reason}}") == []
    assert unknown_labels(f"sum by (kind) (rate({total}[5m]))")
    assert unknown_labels(f"sum(rate({total}[5m]))", "{{kind}}")
    assert unknown_labels('max(notification_api_operator_dead_letters{pod="p"})')


def _of_the_operator_itself() -> set[str]:
    """Samples that belong to no stage."""
    metrics = [one for one in metrics_of(OPERATOR) if "stage" not in one._labelnames]
    return {name for metric in metrics for name in samples_of(metric)}
