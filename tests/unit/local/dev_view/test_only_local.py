"""The developer's view exists on the laptop only. tests/unit/repository/test_dockerfile.py has the image."""

from pathlib import Path

import pytest

from local.plan import ROOT

VIEW = ("dev_view", "PAGE_LOGS", "local.page", '"/dev')


@pytest.mark.parametrize("chart", ["notification-api", "notification-operator", "notification-local"])
def test_no_chart_has_it(chart: str) -> None:
    for file in (ROOT / "charts" / chart).rglob("*"):
        assert not file.is_file() or not named_in(file.read_text()), file


def test_neither_services_nor_operator_know_it() -> None:
    for package in ("services", "k8s"):
        for file in (ROOT / package).rglob("*.py"):
            assert not named_in(file.read_text()), file


def named_in(text: str) -> list[str]:
    return [name for name in VIEW if name in text]


def test_the_names_are_those_of_the_code() -> None:
    code = "".join(file.read_text() for file in (Path(ROOT) / "local").rglob("*.py"))
    assert set(named_in(code)) == set(VIEW)
