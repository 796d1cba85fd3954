"""Run with `pytest` in this folder. No queue, no network and no account are needed."""

from pathlib import Path

import pytest
import reports

from notification_api import PermanentError, Result
from notification_api.testing import run


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTS_FOLDER", str(tmp_path))
    monkeypatch.setenv("REPORTS_URL", "https://example.com")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_page(month: str, number: int) -> str:
        return f"{month} {number}"

    monkeypatch.setattr(reports, "read_page", read_page)


def test_a_report_is_written_and_its_url_returned(tmp_path: Path) -> None:
    ran = run(reports.handlers, "2026-05", type="report")
    assert ran.result == Result("Your report is ready", {"url": "https://example.com/task-1.txt"})
    assert ran.progress[-1] == ("page 4 of 4", 100.0)
    assert (tmp_path / "reports" / "task-1.txt").read_text().startswith("2026-05 1")


def test_a_report_can_be_cancelled(tmp_path: Path) -> None:
    ran = run(reports.handlers, "2026-05", type="report", cancel_after_progress=2)
    assert ran.status == "cancelled"
    assert list((tmp_path / "reports").iterdir()) == []


def test_the_user_reads_what_is_wrong() -> None:
    for name, data, public in (
        ("report", "May", "Choose a month, such as 2026-05"),
        ("import", "1\nx", "Line 2 is not an amount"),
    ):
        ran = run(reports.handlers, data, type=name)
        assert ran.status == "failed"
        assert isinstance(ran.error, PermanentError)
        assert ran.error.public == public


def test_amounts_are_added_up() -> None:
    ran = run(reports.handlers, "1\n2", type="import")
    assert ran.result == Result("2 amounts, 3 in all")
    assert ran.progress == [("line 1", 50), ("line 2", 100)]


def test_an_import_that_is_cancelled_has_no_result() -> None:
    assert run(reports.handlers, "1\n2", type="import", cancel_after_progress=1).status == "cancelled"
