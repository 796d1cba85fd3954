"""Monitors, rules and dashboards: there where the cluster knows them, and what the files say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.helm_charts import MONITORING_APIS, STAGE_CHART, Object, of_kind, render

RULE_FILES = sorted((STAGE_CHART / "rules").glob("*.yaml"))
DASHBOARD_FILES = sorted((STAGE_CHART / "dashboards").glob("*.json"))


def test_nothing_is_rendered_that_the_cluster_does_not_know() -> None:
    assert not {"PodMonitor", "PrometheusRule"} & {each["kind"] for each in render()}


def test_the_monitor_finds_every_service_and_no_test() -> None:
    objects = render(apis=MONITORING_APIS)
    (monitor,) = of_kind(objects, "PodMonitor")
    wanted = monitor["spec"]["selector"]
    for each in of_kind(objects, "Deployment"):
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert wanted["matchLabels"].items() <= labels.items()
        assert labels["app.kubernetes.io/component"] in wanted["matchExpressions"][0]["values"]
    assert "test" not in wanted["matchExpressions"][0]["values"]


def test_the_monitor_sets_the_labels_that_rules_group_by() -> None:
    (monitor,) = of_kind(render(apis=MONITORING_APIS), "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("ops", "/metrics")
    set_from = {each["targetLabel"]: each["sourceLabels"] for each in endpoint["relabelings"]}
    assert set_from == {
        "stage": ["__meta_kubernetes_pod_label_notification_api_io_stage"],
        "service": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
    }


def test_every_rule_file_becomes_an_object_that_looks_at_this_stage_only() -> None:
    rules = of_kind(render(apis=MONITORING_APIS), "PrometheusRule")
    assert len(rules) == len(RULE_FILES)
    texts = [
        file.read_text()
        .replace('namespace=~".+",stage=~".+"', 'namespace="stages",stage="dev"')
        .replace("runbook_url:", "runbook:")  # nobody has said where they are served
        for file in RULE_FILES
    ]
    written = sorted(json.dumps(yaml.safe_load(text), sort_keys=True) for text in texts)
    assert sorted(json.dumps(each["spec"], sort_keys=True) for each in rules) == written
    assert '=~\\".+' not in json.dumps(rules)


def test_runbooks_are_told_by_where_they_are_served() -> None:
    served = "https://git.example.com/notification-api/blob/main/"
    rules = of_kind(render({"prometheusRules": {"runbooks": served}}, apis=MONITORING_APIS), "PrometheusRule")
    for each in rules:
        for rule in each["spec"]["groups"][0]["rules"]:
            if "alert" in rule:
                assert rule["annotations"]["runbook_url"] == f"{served}docs/runbooks/{rule['alert']}.md"


def expression(alert: str, values: Object) -> str:
    (found,) = [
        str(rule["expr"])
        for each in of_kind(render(values, apis=MONITORING_APIS), "PrometheusRule")
        for rule in each["spec"]["groups"][0]["rules"]
        if rule.get("alert") == alert
    ]
    return found


@pytest.mark.parametrize(
    ("values", "missed"),
    [
        ({}, {"token", "ingest"}),
        ({"token": {"replicas": 0}}, {"ingest"}),
        ({"ingest": {"replicas": 0}}, {"token"}),
        ({"podMonitor": {"enabled": False}}, set()),
    ],
)
def test_nobody_is_missed_who_is_not_to_be_seen(values: Object, missed: set[str]) -> None:
    told = expression("NotificationApiServiceDown", values)
    assert set(re.findall(r'absent\(up\{[^}]*service="(\w+)"\}\)', told)) == missed
    assert told.count("absent(") == len(missed)
    assert told.count("== 0") == 2
    assert not told.rstrip().endswith("or")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus")
@pytest.mark.parametrize("values", [{}, {"token": {"replicas": 0}}, {"podMonitor": {"enabled": False}}])
def test_promtool_takes_what_is_rendered(tmp_path: Path, values: Object) -> None:
    files = []
    for each in of_kind(render(values, apis=MONITORING_APIS), "PrometheusRule"):
        files.append(tmp_path / f"{each['metadata']['name']}.yaml")
        files[-1].write_text(yaml.safe_dump(each["spec"]))
    ran = subprocess.run(["promtool", "check", "rules", *map(str, files)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_dashboard_becomes_a_config_map_as_it_is() -> None:
    maps = [each for each in of_kind(render(), "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]
    assert len(maps) == len(DASHBOARD_FILES)
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in maps)
    written = {f"notification-api-{file.name}": json.loads(file.read_text()) for file in DASHBOARD_FILES}
    assert {name: json.loads(text) for each in maps for name, text in each["data"].items()} == written


@pytest.mark.parametrize("what", ["podMonitor", "prometheusRules", "dashboards"])
def test_each_can_be_left_out_and_labelled(what: str) -> None:
    def of_it(values: Object) -> list[Object]:
        objects = render(values, apis=MONITORING_APIS)
        kinds = {"podMonitor": "PodMonitor", "prometheusRules": "PrometheusRule", "dashboards": "ConfigMap"}
        return [
            each
            for each in of_kind(objects, kinds[what])
            if what != "dashboards" or "-dashboard-" in each["metadata"]["name"]
        ]

    assert of_it({what: {"enabled": False}}) == []
    assert all(
        each["metadata"]["labels"]["release"] == "prometheus"
        for each in of_it({what: {"labels": {"release": "prometheus"}}})
    )
