"""The log files of the programs: complete, bounded, and never a reason to stop."""

from contextlib import closing
from pathlib import Path

import pytest

from local.supervisor import output
from local.supervisor.output import LogFile

FULL_DISK = Path("/dev/full")


def test_lines_are_appended_over_several_runs(tmp_path: Path) -> None:
    for line in ("first", "second ü"):
        with closing(LogFile(tmp_path / "logs", "token")) as log:
            log.append(line)
    assert (tmp_path / "logs" / "token.log").read_text(encoding="utf-8") == "first\nsecond ü\n"


def test_a_large_file_is_renamed_and_one_old_one_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_LOG_BYTES", 10)
    with closing(LogFile(tmp_path, "token")) as log:
        for number in range(5):
            log.append(f"line {number}")
    assert (tmp_path / "token.log").read_text() == "line 4\n"
    assert (tmp_path / "token.log.1").read_text() == "line 2\nline 3\n"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not FULL_DISK.exists(), reason="a full disk is simulated by /dev/full")
def test_a_full_disk_stops_nothing_and_logging_continues_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "token.log"
    path.symlink_to(FULL_DISK)
    with closing(LogFile(tmp_path, "token")) as log:
        log.append("lost")
        path.unlink()
        log.append("after")
    assert path.read_text() == "after\n"


def test_a_folder_that_cannot_be_created_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    LogFile(tmp_path / "logs", "token").append("lost")
    assert (tmp_path / "logs").read_text() == "a file in its place"
