"""Log lines as a developer reads them."""

import json

import pytest

from local.supervisor.log_format import format_line


def logged(**fields: object) -> str:
    known = {
        "level": "INFO",
        "logger": "services.common.web.app",
        "message": "request",
        "service": "s",
        "stage": "local",
    }
    return json.dumps(known | {"time": "2026-11-22T10:16:43+00:00"} | fields)


def test_a_log_line_is_its_level_message_and_own_fields() -> None:
    line = logged(method="GET", route="/token", status=200, seconds=0.04, port=None)
    assert format_line(line) == "INFO    request  method=GET route=/token status=200 seconds=0.04 port=null"


def test_a_log_line_without_fields_of_its_own_is_short() -> None:
    assert format_line(logged(level="WARNING", message="slow")) == "WARNING slow"


def test_a_traceback_is_below_its_line() -> None:
    assert format_line(logged(level="ERROR", exception="Traceback …\nValueError: \x1b[2J")) == (
        "ERROR   request\nTraceback …\nValueError: ?[2J"
    )


def test_a_value_with_blanks_or_control_characters_is_quoted() -> None:
    shown = format_line(logged(detail="two words", text="a\x1b[2Jb"))
    assert 'detail="two words"' in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "line",
    ["", "plain", "{", "{}", "[1]", '{"message": "m"}', '{"level": "INFO"}', "{not json}", '{"a": ' * 50_000, "null"],
)
def test_other_lines_are_unchanged(line: str) -> None:
    assert format_line(line) == line
