"""The tables of docs/reference have what their sources say."""

import pytest

from k8s.docs_site.alerts import alerts
from k8s.docs_site.chart_values import chart_values
from k8s.docs_site.settings import settings
from k8s.docs_site.stage_fields import stage_fields


@pytest.mark.parametrize(
    ("program", "start"),
    [
        ("ingest", "| `TASK_QUEUE_URL` | required |  | the chart | URL of the task queue."),
        ("ingest", "| `MAX_BODY_BYTES` | `262144` | 1 to 400,000 | `ingest.settings` | "),
        ("token", "| `MAX_BODY_BYTES` | `1024` | 1 to 400,000 | `token.settings` | "),
        ("processor", "| `USER_SHARE` | `0.5` | above 0 to 1 | `processor.settings` | "),
        ("processor", "| `SHUTDOWN_GRACE_SECONDS` | `50` | "),
        ("processor", "| `NOTIFICATION_FORMAT` | `json` | `json`, `text` | "),
        ("operator", "| `IDLE_POLL_SECONDS` | `5` | 0.2 to 300 | `settings` | "),
    ],
)
def test_a_setting_has_its_own_default_and_bounds(program: str, start: str) -> None:
    assert f"\n{start}" in settings(program)


def test_a_default_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings("token")
    monkeypatch.setenv("TOKEN_VALID_SECONDS", "60")
    assert settings("token") == before


@pytest.mark.parametrize(
    "row",
    [
        '| `scaling.engine` | `"operator"` | `"operator"`, `"keda"`, `"none"` | operator: the operator runs the fewest',
        "| `scaling.waitObjectiveSeconds` | `10` | integer, 1 to 3,600 | Longest wait in the queue that the operator",
        '| `token.resources.limits` | `{"memory": "256Mi"}` | object |  |',
    ],
)
def test_a_value_has_the_comment_above_it_and_its_type(row: str) -> None:
    assert f"\n{row}" in chart_values("notification-api")


def test_a_section_of_the_values_has_its_introduction() -> None:
    assert "\n### Resources\n\nAn existing resource that is named here is used as it is" in chart_values(
        "notification-api"
    )


def test_critical_alerts_are_first() -> None:
    severities = [line.split(" | ")[1] for line in alerts("notification-api").splitlines()[2:]]
    assert severities == sorted(severities)
    assert "{{" not in alerts("notification-api")


def test_fields_of_a_stage_are_named_with_their_path() -> None:
    assert "\n| `stageName` | string | required | Name of the stage" in stage_fields("spec")
    assert "\n| `scaling.engine` | `operator`, `keda`, `none` | `operator` | With operator" in stage_fields("spec")
    assert "\n| `conditions.reason` | string | required | The cause as one word" in stage_fields("status")
    assert "\n- stageName cannot change" in stage_fields("spec")
