"""Logs: one JSON object a line, with the ids of what it belongs to, as a process writes them."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.common.logs import _ContextFormatter, log_context

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import logging, warnings
from services.common.logs import configure_logging, log_context
from services.common.settings import ServiceSettings
configure_logging(ServiceSettings(service_name="notification-api", stage_name="dev", log_level="{level}", host="h",
    port=1, ops_port=2, shutdown_delay_seconds=0, shutdown_grace_seconds=1))
log = logging.getLogger("services.x")
{body}
"""


def run(body: str, level: str = "DEBUG") -> list[dict[str, Any]]:
    """The lines that a process writes; each must be JSON, and nothing may go to standard error."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, body=body)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def line_of(message: str, *args: object, **extra: object) -> dict[str, Any]:
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, message, args, None, extra=extra)
    line: dict[str, Any] = json.loads(_ContextFormatter(("levelname", "name", "message")).format(record))
    return line


def test_a_line_says_who_when_and_what() -> None:
    (line,) = run("log.info('told %s', 'it', extra={'action': 'tell', 'seconds': 0.5})")
    assert line.pop("time").startswith("20")
    assert line == {
        "level": "INFO",
        "logger": "services.x",
        "message": "told it",
        "service": "notification-api",
        "stage": "dev",
        "action": "tell",
        "seconds": 0.5,
    }


def test_an_exception_and_a_newline_stay_in_one_line() -> None:
    (line,) = run("try: 1 / 0\nexcept ZeroDivisionError: log.exception('two\\nlines')")
    assert line["message"] == "two\nlines"
    assert "ZeroDivisionError" in line["exception"]


def test_levels_below_the_setting_are_left_out() -> None:
    lines = run("log.debug('a'); log.info('b'); log.warning('c'); warnings.warn('d')", level="WARNING")
    assert [line["level"] for line in lines] == ["WARNING", "WARNING"]
    assert "d" in lines[1]["message"]


def test_libraries_that_tell_every_call_are_kept_quiet() -> None:
    names = ["botocore.endpoint", "aiobotocore", "aiohttp.access", "asyncio", "grpc._cython"]
    calls = [f"logging.getLogger({name!r}).info('payload')" for name in names]
    calls.append("logging.getLogger('momentosdk.x').warning('it is tried again')")
    calls.append("logging.getLogger('botocore').warning('told')")
    assert [line["message"] for line in run("\n".join(calls))] == ["told"]


def test_ids_are_on_every_line_within_and_on_none_after() -> None:
    with log_context(requestId="r-1"):
        with log_context(taskId="t-1"):
            inner = line_of("x")
        outer = line_of("x")
    after = line_of("x")
    assert (inner["requestId"], inner["taskId"]) == ("r-1", "t-1")
    assert outer["requestId"] == "r-1"
    assert "taskId" not in outer
    assert "requestId" not in after


def test_an_inner_id_hides_the_outer_one_for_as_long() -> None:
    with log_context(taskId="a"):
        with log_context(taskId="b"):
            assert line_of("x")["taskId"] == "b"
        assert line_of("x")["taskId"] == "a"


async def test_tasks_at_the_same_time_keep_their_ids_apart() -> None:
    async def one(task_id: str) -> str:
        with log_context(taskId=task_id):
            await asyncio.sleep(0)
            return str(line_of("x")["taskId"])

    assert await asyncio.gather(*(one(str(number)) for number in range(5))) == list("01234")


@pytest.mark.parametrize("text", ["\udcff", "a\ud800b"])
def test_text_that_is_no_utf8_loses_no_line(text: str) -> None:
    assert line_of("told", header=text)["header"] == text
    assert line_of("told %s", text)["message"] == f"told {text}"


UNPRINTABLE = """
class Nameless(type):
    __name__ = property(lambda _: 1 / 0)
class Unprintable:
    def __str__(self):
        raise Nameless("Error", (Exception,), {})
log.info("told %s", Unprintable())
"""


def test_an_argument_whose_error_has_no_name_loses_no_line() -> None:
    (line,) = run(UNPRINTABLE)
    assert line["message"] == "told %s (its values cannot be formatted: an object without a name)"
