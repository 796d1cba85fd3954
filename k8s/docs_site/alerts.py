"""The alerts of a chart, each with its runbook."""

import re

import yaml  # type: ignore[import-untyped]

from k8s.chart_files import CHARTS
from k8s.docs_site.markdown import table


def alerts(chart: str) -> str:
    """The table of a chart, critical alerts first."""
    files = [yaml.safe_load(path.read_text()) for path in sorted((CHARTS / chart / "rules").glob("*.yaml"))]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]
    rules.sort(key=lambda rule: (rule["labels"]["severity"] != "critical", rule["alert"]))
    rows = (
        (
            f"[{rule['alert']}](../runbooks/{rule['alert']}.md)",
            rule["labels"]["severity"],
            rule.get("for", ""),
            re.sub(r"{{ \$labels\.(\w+) }}", r"*\1*", rule["annotations"]["summary"]),
        )
        for rule in rules
    )
    return table(("alert", "severity", "after", "summary"), rows)
