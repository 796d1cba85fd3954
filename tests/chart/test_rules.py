"""Alert rules: promtool accepts each, each fires when it should and not otherwise, and has a runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from k8s.dashboards.queries import increase_since_start
from tests.support.monitoring.alert_causes import causes
from tests.support.monitoring.metric_definitions import labels_by_sample, unknown_labels
from tests.support.yaml_text import load_yaml

ROOT = Path(__file__).resolve().parents[2]
STAGE_RULES = sorted((ROOT / "charts/notification-api/rules").glob("*.yaml"))
OPERATOR_RULES = sorted((ROOT / "charts/notification-operator/rules").glob("*.yaml"))
RULES = [*STAGE_RULES, *OPERATOR_RULES]
ALERTS = [path for path in RULES if path.name != "slo.yaml"]
UNIT_TESTS = ROOT / "tests/chart/rules"
PREFIX = "NotificationApi"
# Every selector has it, and the chart replaces it by the matchers of its own stage.
SCOPE = 'namespace=~".+",stage=~".+"'


def rules_of(path: Path) -> list[dict[str, Any]]:
    return [rule for group in load_yaml(path.read_text())["groups"] for rule in group["rules"]]


def alert_of(path: Path) -> dict[str, Any]:
    (rule,) = rules_of(path)  # one alert a file
    return rule


@pytest.mark.prometheus
def test_promtool_accepts_every_file() -> None:
    ran = subprocess.run(["promtool", "check", "rules", *map(str, RULES)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_it_fires_when_it_should_and_not_otherwise(path: Path) -> None:
    ran = subprocess.run(["promtool", "test", "rules", path.name], cwd=UNIT_TESTS, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_its_unit_test_has_both_cases(path: Path) -> None:
    cases = [
        case for test in load_yaml((UNIT_TESTS / path.name).read_text())["tests"] for case in test["alert_rule_test"]
    ]
    assert {case["alertname"] for case in cases} == {alert_of(path)["alert"]}
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_it_has_a_severity_annotations_and_a_runbook(path: Path) -> None:
    alert = alert_of(path)
    assert alert["alert"].startswith(PREFIX)
    assert re.sub(r"(?<!^)(?=[A-Z])", "-", alert["alert"].removeprefix(PREFIX)).lower() == path.stem
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
    runbook = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    headings = re.findall(r"^## (.+)$", runbook, re.MULTILINE)
    assert runbook.startswith(f"# {alert['alert']}\n")
    assert headings == ["Meaning", "Impact", "Fires with", "Diagnosis", "Mitigation"]
    assert re.search(
        r"^## Impact\n(Users are affected|Users may be affected|No user is affected)", runbook, re.MULTILINE
    )


def test_every_runbook_belongs_to_an_alert() -> None:
    runbooks = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    alerts = {alert_of(path)["alert"] for path in ALERTS}
    assert runbooks == alerts


def commands_of(text: str) -> list[str]:
    """Commands with arguments; the name of a command alone is only a mention."""
    return re.findall(r"`((?:kubectl|helm) [^` ]+ [^`]+)`", text)


def test_every_command_of_a_runbook_names_its_namespace() -> None:
    commands = [each for path in (ROOT / "docs/runbooks").glob("*.md") for each in commands_of(path.read_text())]
    assert commands
    assert [each for each in commands if " -n " not in each and " -A" not in each] == []


def test_a_command_waits_for_the_port_forward_that_it_uses() -> None:
    notes = ROOT / "charts/notification-api/templates/NOTES.txt"
    for path in [*(ROOT / "docs/runbooks").glob("*.md"), notes]:
        assert not re.search(r"port-forward [^&\n]+& curl", path.read_text()), path.name


def test_links_between_runbooks_are_valid() -> None:
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_a_runbook_of_a_critical_alert_names_what_fires_with_it() -> None:
    for cause in causes(ROOT / "tests/chart/causes").values():
        for minute, alerts in cause["firing"].items():
            names = [alert.split()[1] for alert in alerts]
            for alert in alerts if minute <= 34 else []:
                if alert.startswith("critical "):
                    name = alert.split()[1]
                    runbook = (ROOT / f"docs/runbooks/{PREFIX}{name}.md").read_text()
                    related = runbook.split("## Fires with")[1].split("## Diagnosis")[0]
                    missing = [one for one in names if one != name and f"[{PREFIX}{one}]" not in related]
                    assert missing == [], f"{name}: {cause['description']}"


@pytest.mark.parametrize("path", STAGE_RULES, ids=lambda path: path.stem)
def test_expressions_select_one_stage_and_group_by_it(path: Path) -> None:
    for rule in rules_of(path):
        expression = re.sub(r"\s+", " ", rule["expr"])
        selectors = re.findall(
            r"(?<![\w:])(?:notification_api[\w:]*|up|process_\w+|ALERTS)(?![\w:])(?:\{([^}]*)\})?", expression
        )
        assert selectors
        assert all(SCOPE in selector for selector in selectors), expression
        for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
            assert grouping.startswith("namespace, stage"), expression


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_metric_and_label_exists_in_the_code(path: Path) -> None:
    known = labels_by_sample()
    for rule in rules_of(path):
        expression = re.sub(r"\s+", " ", rule["expr"])
        for name in re.findall(r"(?<![\w:])notification_api_\w+", expression):
            assert name in known, expression
        for part in re.split(
            r"unless on \(namespace, stage\)(?: ALERTS\{.*)?", expression
        ):  # matched by these two labels alone
            assert unknown_labels(part) == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_counters_that_started_within_the_window_count_by_their_value(path: Path) -> None:
    """Each such expression is that of the dashboards, and no counter of rare events is read otherwise."""
    for rule in rules_of(path):
        expression = re.sub(r"\s+", " ", rule["expr"])
        for counter, window in re.findall(r"max_over_time\((\w+\{[^}]*\})\[(\w+)\]\) unless last", expression):
            assert increase_since_start(counter, window) in expression
        for counter in re.findall(r"or increase\((\w+\{[^}]*\})", expression):
            assert f"max_over_time({counter}" in expression
