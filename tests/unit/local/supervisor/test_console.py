"""The supervisor's output: prefixes, colours on terminals only, and a closed output."""

import io
import json

import pytest

from local.supervisor.console import RED, Console, console_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


LOGGED = json.dumps({"level": "INFO", "message": "started", "port": 8081})


def test_on_a_terminal_each_process_has_its_own_colour_and_errors_are_red() -> None:
    terminal = Terminal()
    console = console_for(terminal, {})
    console.line("token", "one")
    console.line("ingest", "two")
    console.line("token", "three")
    console.error("died")
    codes = [line[: line.index("m")] for line in terminal.getvalue().splitlines()]
    assert codes[0] == codes[2] != codes[1]
    assert codes[3] == f"\x1b[{RED}"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_log_lines_are_still_formatted(environ: dict[str, str]) -> None:
    terminal = Terminal()
    console_for(terminal, environ).line("token", LOGGED)
    assert terminal.getvalue() == "token     | INFO    started  port=8081\n"


def test_without_a_terminal_lines_are_unchanged() -> None:
    stream = io.StringIO()
    console_for(stream, {}).line("token", LOGGED)
    assert stream.getvalue() == f"token     | {LOGGED}\n"


def test_a_traceback_has_the_prefix_on_each_line() -> None:
    stream = io.StringIO()
    console = Console(stream, colour=False, format_logs=True)
    console.line("token", json.dumps({"level": "ERROR", "message": "failed", "exception": "a\nb"}))
    assert stream.getvalue().splitlines() == ["token     | ERROR   failed", "token     | a", "token     | b"]


def test_a_closed_output_is_reported_once_and_raises_nothing() -> None:
    calls: list[str] = []
    console = Console(Closed(), colour=False, format_logs=False)
    console.on_close = lambda: calls.append("closed")
    console.info("one")
    console.line("token", "two")
    assert console.closed
    assert calls == ["closed"]
