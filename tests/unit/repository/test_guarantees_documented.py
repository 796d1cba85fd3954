"""docs/explanation/guarantees.md names tests: each of them exists."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (TESTS.parent / "docs/explanation/guarantees.md").read_text().splitlines()
    if re.search(r"`(unit|integration|browser)/", line)
]


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_that_verify_a_guarantee_exist(row: str) -> None:
    files = [TESTS / name for name in re.findall(r"`((?:unit|integration|browser)/[\w/]+\.py)`", row)]
    assert files
    assert [file.name for file in files if not file.is_file()] == []
    sources = "".join(file.read_text() for file in files)
    for function in re.findall(r"`(test_\w+)`", row):
        assert f"def {function}(" in sources


def test_the_rows_that_name_tests_are_found() -> None:
    assert len(ROWS) >= 20
