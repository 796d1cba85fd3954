"""The command line: what it refuses, and what it says."""

import io
import os
from collections.abc import Callable

import pytest

from services.processor.dead_letters.__main__ import main
from services.processor.dead_letters.reader import Letter
from services.processor.dead_letters.report import Progress, table, text_of
from tests.support.clock import ManualClock
from tests.support.fakes.task_queue import received

QUEUES = ("--dead-letter-queue-url", "http://127.0.0.1:9/dlq", "--task-queue-url", "http://127.0.0.1:9/tasks")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "arguments are required"),
        (["list"], "set DEAD_LETTER_QUEUE_URL or --dead-letter-queue-url: it must be a URL"),
        (["redrive", "1", *QUEUES[:2]], "set TASK_QUEUE_URL or --task-queue-url: it must be a URL"),
        (["redrive", *QUEUES], "name messages, or say --all"),
        (["purge", "1", "--all", *QUEUES], "name messages, or say --all"),
        (["show", *QUEUES], "required: ID"),
        (["list", "--limit", "0", *QUEUES], "--limit: must be at least 1 and at most 100000, not 0"),
        (["list", "--limit", "1_0", *QUEUES], "--limit: must be a whole number such as 20"),
        (["redrive", "--all", "--per-second", "-1", *QUEUES], "--per-second: must be at least 0 and at most 10000"),
        (["redrive", "--all", "--per-second", "nan", *QUEUES], "--per-second: must be a number such as 2.5"),
    ],
)
def test_a_wrong_command_line_is_refused_with_what_to_do(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DEAD_LETTER_QUEUE_URL", "TASK_QUEUE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_without_a_region_it_says_which_variable_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert main(["list", *QUEUES]) == 1
    assert "AWS_DEFAULT_REGION: must name a region" in capsys.readouterr().err


def test_a_table_counts_reasons_and_cuts_long_details() -> None:
    attributes = {"deadLetterReason": "permanent", "deadLetterDetail": "x" * 200, "taskId": "task"}
    text = table([Letter(received(attributes=attributes)), Letter(received(message_id="moved-by-sqs"))])
    assert "x" * 60 in text
    assert "x" * 61 not in text
    assert text.endswith("     1  permanent\n     1  unstated")


def test_the_text_of_a_message_ends_with_its_body() -> None:
    text = text_of(Letter(received(body="line\nline", attributes={"taskId": "task", "odd": "a\x1b[31m"})))
    assert "attribute odd: a [31m\n" in text
    assert text.endswith("body:\nline\nline")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("make", "said"), [(io.StringIO, ""), (Terminal, "\r[####")])
def test_progress_is_a_bar_on_a_terminal_and_quiet_elsewhere_at_first(
    make: Callable[[], io.StringIO], said: str
) -> None:
    stream = make()
    Progress(100, stream, clock=ManualClock())(15)
    assert stream.getvalue().startswith(said)
    assert bool(stream.getvalue()) is bool(said)


def test_progress_tells_a_line_every_few_seconds_elsewhere() -> None:
    clock, stream = ManualClock(), io.StringIO()
    progress = Progress(100, stream, clock=clock)
    for done in range(10, 50, 10):
        clock.advance(3)
        progress(done)
    progress.end()
    assert stream.getvalue() == "20 of about 100\n40 of about 100\n"


def test_progress_says_what_is_done_where_there_are_two_steps() -> None:
    clock, stream = ManualClock(), io.StringIO()
    progress = Progress(100, stream, "read ", clock=clock)
    clock.advance(6)
    progress(10)
    assert stream.getvalue() == "read 10 of about 100\n"


def test_a_bar_never_overflows_when_sqs_counted_too_few() -> None:
    stream = Terminal()
    progress = Progress(2, stream, clock=ManualClock())
    progress(5)
    progress.end()
    assert stream.getvalue() == f"\r[{'#' * 30}] 5 of about 2\n"
