"""PodMonitor, PrometheusRules and dashboards: rendered where the cluster has their types, with the files' content."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.helm_charts import MONITORING_APIS, OPERATOR_CHART, STAGE_CHART, Object, of_kind, render
from tests.support.yaml_text import load_yaml

pytestmark = pytest.mark.helm


RULE_FILES = sorted((STAGE_CHART / "rules").glob("*.yaml"))


def test_types_that_the_cluster_does_not_have_are_not_rendered() -> None:
    assert not {"PodMonitor", "PrometheusRule"} & {each["kind"] for each in render()}


def test_the_monitor_selects_every_service_and_no_test_pod() -> None:
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


def test_every_rule_file_becomes_an_object_that_selects_this_stage_only() -> None:
    rules = of_kind(render(apis=MONITORING_APIS), "PrometheusRule")
    assert len(rules) == len(RULE_FILES)
    texts = [
        file.read_text()
        .replace('namespace=~".+",stage=~".+"', 'namespace="stages",stage="dev"')
        .replace("runbook_url:", "runbook:")  # it is not known where they are served
        for file in RULE_FILES
    ]
    texts = [re.sub("(?m)^(  - name: .+)$", r"\1-stages_dev", text) for text in texts]
    written = sorted(json.dumps(load_yaml(text), sort_keys=True) for text in texts)
    assert sorted(json.dumps(each["spec"], sort_keys=True) for each in rules) == written
    assert '=~\\".+' not in json.dumps(rules)


def test_alerts_link_to_runbooks_where_their_base_url_is_set() -> None:
    served = "https://git.example.com/notification-api/blob/main/"
    rules = of_kind(render({"prometheusRules": {"runbookBaseUrl": served}}, apis=MONITORING_APIS), "PrometheusRule")
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
        ({"ingest": {"replicas": 0, "maxReplicas": 4}}, {"token", "ingest"}),  # scaled by an autoscaler
        ({"podMonitor": {"enabled": False}}, set()),
    ],
)
def test_services_without_pods_or_monitor_are_not_reported_as_absent(values: Object, missed: set[str]) -> None:
    expr = expression("NotificationApiServiceDown", values)
    assert set(re.findall(r'absent\(up\{[^}]*service="(\w+)"\}\)', expr)) == missed
    assert expr.count("absent(") == len(missed)
    assert expr.count("== 0") == 2
    assert not re.search(r"\bor\s*\)\s*$", expr)


def test_groups_of_rules_are_named_by_release() -> None:
    def groups(release: str, namespace: str, chart: Path) -> list[str]:
        given = {"clusterName": "here"} if chart == OPERATOR_CHART else {}
        objects = render(given, chart=chart, release=release, namespace=namespace, apis=MONITORING_APIS)
        return [group["name"] for each in of_kind(objects, "PrometheusRule") for group in each["spec"]["groups"]]

    for chart in (STAGE_CHART, OPERATOR_CHART):
        releases = (("a", "shop"), ("b", "shop"), ("a", "blog"), ("b-a", "shop"), ("a", "shop-b"))
        names = [name for release, namespace in releases for name in groups(release, namespace, chart)]
        assert len(names) == len(set(names))


@pytest.mark.prometheus
@pytest.mark.parametrize("values", [{}, {"token": {"replicas": 0}}, {"podMonitor": {"enabled": False}}])
def test_promtool_accepts_what_is_rendered(tmp_path: Path, values: Object) -> None:
    files = []
    for each in of_kind(render(values, apis=MONITORING_APIS), "PrometheusRule"):
        files.append(tmp_path / f"{each['metadata']['name']}.yaml")
        files[-1].write_text(yaml.safe_dump(each["spec"]))
    ran = subprocess.run(["promtool", "check", "rules", *map(str, files)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def dashboard_files(*charts: tuple[Path, str, str]) -> dict[tuple[str, str], dict[str, Object]]:
    """The dashboards' files of several releases, by namespace and release: what Grafana's sidecar writes."""
    return {
        (namespace, release): {
            name: json.loads(text)
            for each in of_kind(
                render(
                    {"clusterName": "here"} if chart == OPERATOR_CHART else {},
                    chart=chart,
                    release=release,
                    namespace=namespace,
                ),
                "ConfigMap",
            )
            if each["metadata"]["labels"].get("grafana_dashboard") == "1"
            for name, text in each["data"].items()
        }
        for chart, namespace, release in charts
    }


def test_a_stage_has_its_own_dashboard_and_the_operator_those_of_all_stages() -> None:
    files = dashboard_files((STAGE_CHART, "shop", "dev"), (OPERATOR_CHART, "ops", "op"))
    assert set(files["shop", "dev"]) == {"notification-api-shop_dev.json"}
    assert set(files["ops", "op"]) == {
        "notification-operator-ops_op-operator.json",
        "notification-operator-ops_op-stages.json",
    }


def test_the_dashboard_of_a_stage_is_the_generated_one_with_the_stage_preselected() -> None:
    (board,) = dashboard_files((STAGE_CHART, "shop", "blue"))["shop", "blue"].values()
    written = json.loads((STAGE_CHART / "dashboards/stage.json").read_text())
    chosen = {one["name"]: one.pop("current", None) for one in board["templating"]["list"]}
    assert chosen == {
        "datasource": None,
        "namespace": {"text": "shop", "value": "shop"},
        "stage": {"text": "dev", "value": "dev"},
    }
    assert board.pop("title") == "notification-api: stage dev (shop/blue)"
    assert re.fullmatch("notification-api-stage-[0-9a-f]{12}", board.pop("uid"))
    assert board == {key: value for key, value in written.items() if key not in {"title", "uid"}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((STAGE_CHART, "shop", "dev"), (STAGE_CHART, "shop", "prod")),
        ((STAGE_CHART, "shop", "dev"), (STAGE_CHART, "blog", "dev")),
        ((STAGE_CHART, "a-b", "c"), (STAGE_CHART, "a", "b-c")),
        ((STAGE_CHART, "n" * 63, "r" * 52 + "a"), (STAGE_CHART, "n" * 63, "r" * 52 + "b")),
        ((STAGE_CHART, "shop", "dev"), (OPERATOR_CHART, "shop", "dev-operator")),
        ((OPERATOR_CHART, "shop", "dev"), (OPERATOR_CHART, "blog", "dev")),
        ((OPERATOR_CHART, "a-b", "c"), (OPERATOR_CHART, "a", "b-c")),
        ((OPERATOR_CHART, "ops", "a"), (OPERATOR_CHART, "ops", "a-stages")),
    ],
)
def test_uninstalling_one_release_leaves_the_dashboards_of_the_other(
    one: tuple[Path, str, str], other: tuple[Path, str, str], tmp_path: Path
) -> None:
    files = dashboard_files(one, other)
    for board_files in files.values():  # the sidecar writes every key into one folder
        for name, board in board_files.items():
            (tmp_path / name).write_text(json.dumps(board))
    for name in files[one[1:]]:  # and removes them with their ConfigMap
        (tmp_path / name).unlink()
    left = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert left == files[other[1:]]


def test_uids_and_titles_differ_by_release_and_are_valid_in_grafana() -> None:
    long = "n" * 63
    files = dashboard_files(
        *((STAGE_CHART, namespace, release) for namespace, release in (("a-b", "c"), ("a", "b-c"), (long, "r" * 53))),
        *((OPERATOR_CHART, namespace, release) for namespace, release in (("ops", "op"), ("a", "b-c"))),
    )
    boards = [board for board_files in files.values() for board in board_files.values()]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)
    assert all(len(board["uid"]) <= 40 for board in boards)


@pytest.mark.parametrize("what", ["podMonitor", "prometheusRules", "dashboards"])
def test_each_can_be_disabled_and_labelled(what: str) -> None:
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
