"""The Alertmanager configuration of docs/how-to/monitor.md: a cause pages once, and no stage mutes another."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.monitoring.alert_causes import causes, labels_of_alert
from tests.support.yaml_text import load_yaml

ROOT = Path(__file__).resolve().parents[2]
CAUSES = causes(Path(__file__).parent / "causes")
Alert = Mapping[str, str]


def text() -> str:
    (found,) = re.findall(r"^```yaml\n(# alertmanager.yml\n.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


PAGE = ROOT / "docs/how-to/monitor.md"
CONFIGURATION: dict[str, Any] = load_yaml(text())


def matches(matchers: Iterable[str], alert: Alert) -> bool:
    """As Alertmanager does: regular expressions are anchored, and a label that is missing is empty."""
    for matcher in matchers:
        found = re.fullmatch(r'(\w+)(=~|=)"(.*)"', matcher)
        assert found, matcher
        label, operator, wanted = found.groups()
        value = alert.get(label, "")
        if not (re.fullmatch(wanted, value) if operator == "=~" else value == wanted):
            return False
    return True


def delivered(alerts: list[Alert]) -> list[Alert]:
    """Those that no inhibition rule mutes."""
    return [
        alert
        for alert in alerts
        if not any(
            matches(rule["target_matchers"], alert)
            and any(
                matches(rule["source_matchers"], source)
                and all(source.get(label, "") == alert.get(label, "") for label in rule["equal"])
                for source in alerts
            )
            for rule in CONFIGURATION["inhibit_rules"]
        )
    ]


def notifications(alerts: list[Alert]) -> list[tuple[str, ...]]:
    """Receiver and group of each notification."""
    found = set()
    for alert in delivered(alerts):
        route = CONFIGURATION["route"]
        group: list[str] = []
        while (inner := [one for one in route.get("routes", []) if matches(one["matchers"], alert)]) != []:
            route = inner[0]
            group = route.get("group_by", group)
        found.add((route["receiver"], *(alert.get(label, "") for label in group)))
    return sorted(found)


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_one_cause_pages_at_most_once_and_is_reported_once(cause: dict[str, Any]) -> None:
    for alerts in cause["firing"].values():
        labels: list[Alert] = [labels_of_alert(alert) for alert in alerts]
        is_paging = any(alert["severity"] == "critical" for alert in labels)
        about_the_stage = [one for one in notifications(labels) if one[1:] == ("shop", "dev")]
        is_about_stage = any("stage" in alert for alert in labels)
        assert about_the_stage == ([("pager" if is_paging else "chat", "shop", "dev")] if is_about_stage else [])


def test_a_critical_alert_mutes_the_warnings_of_its_own_stage_only() -> None:
    def alert(name: str, severity: str, namespace: str, stage: str) -> Alert:
        return {"alertname": name, "severity": severity, "namespace": namespace, "stage": stage}

    paging = alert("NotificationApiTasksStuck", "critical", "shop", "dev")
    muted = alert("NotificationApiMomentoErrors", "warning", "shop", "dev")
    others = [
        alert("NotificationApiMomentoErrors", "warning", "shop", "prod"),
        alert("NotificationApiMomentoErrors", "warning", "blog", "dev"),
        alert("SomebodyElsesAlert", "warning", "shop", "dev"),
        {"alertname": "NotificationApiOperatorDown", "severity": "warning"},
    ]
    assert delivered([paging, muted, *others]) == [paging, *others]
    assert delivered([muted, *others]) == [muted, *others]


@pytest.mark.alertmanager
def test_alertmanager_accepts_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(text())
    ran = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
