"""Logs: one JSON object a line, with the ids of what it belongs to, as a process writes them."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.common.telemetry import log_writer
from services.common.telemetry.log_writer import LogWriter
from services.common.telemetry.logs import _ContextFormatter, log_context
from services.common.telemetry.metrics import LOG_LINES_DROPPED
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[5]
PROGRAM = """
import logging, warnings
from services.common.telemetry.logs import configure_logging, log_context
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


def test_a_line_has_service_time_and_message() -> None:
    (line,) = run("log.info('logged %s', 'it', extra={'action': 'log', 'seconds': 0.5})")
    assert line.pop("time").startswith("20")
    assert line == {
        "level": "INFO",
        "logger": "services.x",
        "message": "logged it",
        "service": "notification-api",
        "stage": "dev",
        "action": "log",
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


def test_libraries_that_log_every_call_are_silenced() -> None:
    names = ["botocore.endpoint", "aiobotocore", "aiohttp.access", "asyncio", "grpc._cython"]
    calls = [f"logging.getLogger({name!r}).info('payload')" for name in names]
    calls.append("logging.getLogger('momentosdk.x').warning('it is tried again')")
    calls.append("logging.getLogger('botocore').warning('logged')")
    assert [line["message"] for line in run("\n".join(calls))] == ["logged"]


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
    assert line_of("logged", header=text)["header"] == text
    assert line_of("logged %s", text)["message"] == f"logged {text}"


UNPRINTABLE = """
class Nameless(type):
    __name__ = property(lambda _: 1 / 0)
class Unprintable:
    def __str__(self):
        raise Nameless("Error", (Exception,), {})
log.info("logged %s", Unprintable())
"""


def test_an_argument_whose_error_has_no_name_loses_no_line() -> None:
    (line,) = run(UNPRINTABLE)
    assert line["message"] == "logged %s (its values cannot be formatted: an object without a name)"


PIPE_BYTES = 1_048_576
"""More than the buffer of a pipe."""


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a full pipe, which blocks until it is read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"\n" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)


def dropped() -> float:
    value: float = LOG_LINES_DROPPED._value.get()
    return value


def writer_to(descriptor: int, max_queued_bytes: int) -> logging.Logger:
    handler = LogWriter(descriptor, max_queued_bytes)
    handler.setFormatter(_ContextFormatter(("levelname", "name", "message")))
    log = logging.getLogger(f"test-{descriptor}")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    return log


async def test_logging_does_not_wait_for_a_blocked_output_and_lines_that_are_dropped_are_counted() -> None:
    before = dropped()
    with full_pipe() as (reading, writing):
        log = writer_to(writing, max_queued_bytes=1_000)
        for number in range(100):
            log.info("line %d", number)
        lost = dropped() - before
        assert 50 < lost < 100
        text = ""

        def read() -> bool:
            nonlocal text
            text += os.read(reading, PIPE_BYTES).decode()
            return "were dropped" in text

        await wait_until(lambda: asyncio.to_thread(read))
    lines = [json.loads(line) for line in text.splitlines() if line]
    assert [line["message"] for line in lines[:-1]] == [f"line {number}" for number in range(100 - int(lost))]
    assert (lines[-1]["levelname"], lines[-1]["lines"]) == ("WARNING", lost)


def test_a_finalizer_that_logs_while_a_dropped_line_is_counted_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    class Metric:
        lock = threading.Lock()

        def inc(self, lines: int) -> None:
            assert self.lock.acquire(blocking=False), "waits for itself"
            if len(counted) < 5:
                log.info("finalizer")
            counted.append(lines)
            self.lock.release()

    monkeypatch.setattr(log_writer, "LOG_LINES_DROPPED", Metric())
    with full_pipe() as (_, writing):
        log = writer_to(writing, max_queued_bytes=100)
        for number in range(20):
            log.info("line %d", number)
    log.handlers[0].flush()  # the pipe is not read, so that queued lines are lost and counted as well
    assert 20 <= sum(counted) <= 25


async def test_lines_that_a_closed_output_does_not_take_are_counted() -> None:
    before = dropped()
    reading, writing = os.pipe()
    os.close(reading)
    log = writer_to(writing, max_queued_bytes=1_000)
    log.info("line")
    await wait_until(lambda: dropped() == before + 1)
    os.close(writing)


def test_a_process_whose_output_is_blocked_ends() -> None:
    body = "for number in range(20_000): log.info('x' * 100)"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(level="INFO", body=body)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.stdout.close()


def test_a_process_that_ends_at_once_writes_its_last_lines() -> None:
    body = """
import os
from services.common.telemetry.logs import flush_logs
for number in range(1_000): log.info('%d', number)
flush_logs()
os._exit(0)
"""
    assert [line["message"] for line in run(body)] == [str(number) for number in range(1_000)]


def test_a_fork_of_the_process_writes_its_lines() -> None:
    body = """
import os
log.info('parent')
if os.fork() == 0:
    log.info('child')
    os._exit(0)
os.wait()
"""
    # A newer Python warns of a fork while there are threads.
    messages = [line["message"] for line in run(body) if line["logger"] != "py.warnings"]
    assert sorted(messages) == ["child", "parent"]


def test_a_finalizer_that_logs_while_a_line_is_logged_stops_nothing() -> None:
    """The garbage collector runs finalizers in the midst of anything; from Python 3.12 on, between any two calls."""
    body = """
import gc
class Pending:
    def __init__(self):
        self.me = self
    def __del__(self):
        log.warning('destroyed')
gc.set_threshold(5)
for number in range(5_000):
    Pending()
    log.info('%d', number)
gc.collect()
"""
    messages = [line["message"] for line in run(body)]
    assert messages.count("destroyed") == 5_000
    assert [message for message in messages if message != "destroyed"] == [str(number) for number in range(5_000)]


async def test_lines_that_are_lost_while_nothing_reads_are_reported_afterwards() -> None:
    """Also those that were being written, as on a disk that is full for a while."""
    reading, writing = os.pipe()
    standing_in = os.dup(writing)
    os.close(reading)
    log = writer_to(standing_in, max_queued_bytes=1_000)
    before = dropped()
    log.info("lost")
    await wait_until(lambda: dropped() == before + 1)
    os.close(writing)
    reading, writing = os.pipe()
    os.dup2(writing, standing_in)
    log.info("written")
    log.handlers[0].flush()
    await asyncio.sleep(0)
    os.set_blocking(reading, False)
    text = ""

    def read() -> bool:
        nonlocal text
        with suppress(BlockingIOError):
            text += os.read(reading, PIPE_BYTES).decode()
        return "were dropped" in text

    await wait_until(lambda: asyncio.to_thread(read))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get("lines") for line in lines] == [None, 1]


def test_a_line_longer_than_the_queue_is_written() -> None:
    (line,) = run("log.info('x' * 5_000_000)")
    assert len(line["message"]) == 5_000_000


@pytest.mark.parametrize(("closed", "written"), [(">&-", 1), (">&- 2>&-", 0)])
def test_a_process_without_standard_output_logs_to_standard_error(closed: str, written: int) -> None:
    program = PROGRAM.format(level="INFO", body="log.info('logged')")
    command = f'exec "$0" -c "$1" {closed}'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, program], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert [json.loads(line)["message"] for line in ended.stderr.splitlines()] == ["logged"] * written


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_a_handler_prints_breaks_no_line(unbuffered: str) -> None:
    body = """
for number in range(2_000):
    log.info('%d', number)
    print('printed by a handler')
"""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level="INFO", body=body)],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=30,
    )
    lines = ended.stdout.splitlines()
    assert lines.count("printed by a handler") == 2_000
    assert [json.loads(line)["message"] for line in lines if line != "printed by a handler"] == [
        str(number) for number in range(2_000)
    ]
