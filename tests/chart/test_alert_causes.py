"""Each cause fires exactly its alerts, for the broken stage only, and at most two that page."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.helm_charts import MONITORING_APIS, OPERATOR_CHART, STAGE_CHART, Object, of_kind, render
from tests.support.monitoring.alert_causes import broken, causes, promtool_test, promtool_test_beside
from tests.support.monitoring.metric_definitions import TARGET, labels_by_sample
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


CAUSES = causes(Path(__file__).parent / "causes")
each_cause = pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)


def written_rules(rendered: list[Object], folder: Path) -> list[str]:
    """Files with the rendered rules."""
    files = []
    for each in of_kind(rendered, "PrometheusRule"):
        files.append(folder / f"{each['metadata']['namespace']}-{each['metadata']['name']}.yaml")
        files[-1].write_text(yaml.safe_dump(each["spec"]))
    return [str(file) for file in files]


@pytest.fixture(scope="module")
def rule_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The rules of the broken stage's release and of the operator's, as they are rendered."""
    rendered = [
        *render({"stageName": "dev"}, namespace="shop", apis=MONITORING_APIS),
        *render({"clusterName": "c"}, chart=OPERATOR_CHART, namespace="ops", release="op", apis=MONITORING_APIS),
    ]
    return written_rules(rendered, tmp_path_factory.mktemp("rules"))


def assert_passes(test: str, file: Path) -> None:
    file.write_text(test)
    ran = subprocess.run(
        ["promtool", "test", "rules", file],
        capture_output=True,
        text=True,
        timeout=50,
        env=os.environ | {"GOGC": "400"},  # collects garbage less often: a fifth less CPU time
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
@each_cause
def test_exactly_these_alerts_fire(cause: dict[str, Any], rule_files: list[str], tmp_path: Path) -> None:
    assert_passes(promtool_test(cause, rule_files), tmp_path / "cause.yaml")


@pytest.mark.prometheus
def test_no_cause_fires_an_alert_of_a_healthy_stage(tmp_path: Path) -> None:
    prod = render({"stageName": "prod"}, namespace="blog", release="prod", apis=MONITORING_APIS)
    assert_passes(promtool_test_beside(CAUSES, written_rules(prod, tmp_path)), tmp_path / "causes.yaml")


@each_cause
def test_the_series_of_a_cause_exist_in_the_code(cause: dict[str, Any]) -> None:
    known = labels_by_sample() | dict.fromkeys(("up", "process_start_time_seconds"), TARGET)
    for name in broken(cause["series"]):
        metric, _, inner = name.removesuffix("}").partition("{")
        assert metric in known, name
        labels = {part.split("=")[0] for part in inner.split(",")}
        assert labels <= {*known[metric], *TARGET, "job"}, name


@each_cause
def test_no_cause_pages_more_than_twice_at_a_time(cause: dict[str, Any]) -> None:
    assert len(cause["firing"]) >= 3  # several times, one of them after the cause has ended
    for alerts in cause["firing"].values():
        assert len([alert for alert in alerts if alert.startswith("critical ")]) <= 2


def test_every_cause_but_an_invisible_one_is_reported() -> None:
    silent = {name for name, cause in CAUSES.items() if not any(cause["firing"].values())}
    assert silent == {"nothing", "one-pod-of-two-gone", "key-set-unreachable"}


def test_every_critical_alert_has_a_cause() -> None:
    paging = {
        rule["alert"].removeprefix("NotificationApi")
        for chart in (STAGE_CHART, OPERATOR_CHART)
        for path in (chart / "rules").glob("*.yaml")
        for group in load_yaml(path.read_text())["groups"]
        for rule in group["rules"]
        if rule.get("labels", {}).get("severity") == "critical"
    }
    fired = {alert.split()[1] for cause in CAUSES.values() for alerts in cause["firing"].values() for alert in alerts}
    assert paging <= fired
