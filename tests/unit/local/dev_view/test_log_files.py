"""Reading the log files of the supervisor."""

import json
from pathlib import Path

import pytest

from local.dev_view import log_files
from local.dev_view.log_files import read_task_lines


def line(second: int, task_id: object = "task-1", **fields: object) -> str:
    return json.dumps(
        {"time": f"2026-11-28T10:00:{second:02}+00:00", "message": f"at {second}", "taskId": task_id, **fields}
    )


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(f"{one}\n" for one in lines))


def test_the_lines_of_all_programs_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    write(tmp_path, "ingest.log", line(1), line(4))
    write(tmp_path, "processor.log.1", line(2))
    write(tmp_path, "processor.log", line(3))
    read = read_task_lines(tmp_path)
    assert [(one.program, one.message) for one in read] == [
        ("ingest", "at 1"),
        ("processor", "at 2"),
        ("processor", "at 3"),
        ("ingest", "at 4"),
    ]


def test_what_is_no_log_line_about_a_task_is_left_out(tmp_path: Path) -> None:
    others = (
        *("printed by a handler", '{"taskId"', '["taskId"]', '"taskId"', "\x00\ufffd"),
        line(1, time="yesterday"),
        line(1, time="2026-11-28T10:00:00"),
        line(1, time=5),
        line(1, task_id=5),
        json.dumps({"time": "2026-11-28T10:00:00+00:00", "message": "without a task"}),
    )
    write(tmp_path, "processor.log", *others, line(2), "Traceback about taskId")
    assert [one.message for one in read_task_lines(tmp_path)] == ["at 2"]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "processor.log").write_bytes(b'\xff\xfe "taskId" \xff\n' + line(1).encode() + b"\n")
    assert [one.message for one in read_task_lines(tmp_path)] == ["at 1"]


def test_without_files_there_are_no_lines(tmp_path: Path) -> None:
    assert read_task_lines(tmp_path / "missing") == []


def test_only_the_newest_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(line(1)) + 1
    monkeypatch.setattr(log_files, "MAX_BYTES", 3 * size + size // 2)
    write(tmp_path, "ingest.log.1", line(1), line(2), line(3))
    write(tmp_path, "ingest.log", line(4), line(5))
    assert [one.message for one in read_task_lines(tmp_path)] == ["at 3", "at 4", "at 5"]
    write(tmp_path, "ingest.log", *(line(second) for second in range(4, 10)))
    assert [one.message for one in read_task_lines(tmp_path)] == ["at 7", "at 8", "at 9"]
