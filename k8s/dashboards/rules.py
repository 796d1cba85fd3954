"""The recording rules of the SLO, over five windows."""

from collections.abc import Iterator

from k8s.dashboards.queries import OBJECTIVE_SECONDS, increase_since_start

SCOPE = 'namespace=~".+",stage=~".+"'
"""The chart replaces it by the matchers of its own stage."""
GROUPS = (
    ("notification-api-slo", "30s", ("5m", "30m", "1h")),
    ("notification-api-slo-long", "2m", ("6h", "3d")),
)
"""Name, interval and windows. A query sees a sample for five minutes; long windows cost more and change slowly."""
HEAD = """\
# Generated from k8s/dashboards/rules.py by `make generate`.
# SLO: 99.9 % of the users are notified within 30 s of the acceptance of their task, or of the end of its delay, over
# 30 days. Every user is notified in the end, also where the task failed, so only a late notification violates it.
# Cancelled and expired tasks do not count. While no task is finished,
# NotificationApiTasksStuck fires. The share is of finished tasks, not of accepted ones, so that both counts come from
# the same pods. Pods that started within a window count too: when a stage starts from zero, its first tasks waited
# longest.
groups:
"""


def slo_rules() -> str:
    """The rule file."""
    return HEAD + "".join(
        f"  - name: {name}\n    interval: {interval}\n    rules:\n{''.join(map(_window, windows))}"
        for name, interval, windows in GROUPS
    )


def _window(window: str) -> str:
    return "".join(
        f"      - record: notification_api:{name}\n        expr: |\n{_indented(expression)}"
        for name, expression in _rules(window)
    )


def _rules(window: str) -> Iterator[tuple[str, str]]:
    notified = f"notification_api:tasks_notified:increase{window}{{{SCOPE}}}"
    late = f"notification_api:tasks_late:increase{window}{{{SCOPE}}}"
    on_time = _increase("end_to_end_seconds_bucket", window, f',le="{OBJECTIVE_SECONDS}"')
    yield f"tasks_notified:increase{window}", _increase("end_to_end_seconds_count", window)
    yield f"tasks_late:increase{window}", f"clamp_min(\n  {notified}\n  -\n{_indented(on_time, 2).rstrip()},\n  0\n)"
    yield f"tasks_late:ratio_rate{window}", f"{late} / ({notified} > 0)"


def _increase(metric: str, window: str, matcher: str = "") -> str:
    counter = f"notification_api_{metric}{{{SCOPE}{matcher}}}"
    return f"sum by (namespace, stage) (\n{_indented(increase_since_start(counter, window, chr(10)), 2)})"


def _indented(text: str, spaces: int = 10) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())
