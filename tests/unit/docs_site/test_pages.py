"""What pages take from the code is current, and says something about everything that it lists."""

import re
from pathlib import Path

import pytest

from k8s.chart_files import CHARTS
from k8s.docs_site.metrics import MODULES
from k8s.docs_site.pages import FOLDER, filled, pages
from k8s.docs_site.settings import PROGRAMS

REFERENCE = FOLDER / "reference"
ALL = "".join(path.read_text() for path in REFERENCE.glob("*.md"))


@pytest.mark.parametrize("path", sorted(pages()), ids=lambda path: path.name)
def test_a_page_is_current(path: Path) -> None:
    assert path.read_text() == pages()[path], "make generate"


@pytest.mark.parametrize(
    "part",
    [
        *(f"metrics of {module}" for module in MODULES),
        *(f"settings of {program}" for program in PROGRAMS),
        *(f"values of {values.parent.name}" for values in sorted(CHARTS.glob("*/values.yaml"))),
        *(
            f"alerts of {chart}"
            for chart in sorted({rules.parent.parent.name for rules in CHARTS.glob("*/rules/*.yaml")})
        ),
        *(f"fields of {part}" for part in ("spec", "status")),
    ],
)
def test_every_part_is_on_a_page(part: str) -> None:
    assert ALL.count(f"<!-- generated {part} -->") == 1


@pytest.mark.parametrize("name", ["settings.md", "stage.md", "alerts.md"])
def test_every_row_has_a_meaning(name: str) -> None:
    rows = re.findall(r"^\| [`\[].*$", pages()[REFERENCE / name], re.MULTILINE)
    assert len(rows) > 20
    assert [row for row in rows if row.endswith("|  |")] == []


def test_what_is_written_by_hand_stays() -> None:
    page = "before\n\n<!-- generated fields of status -->\nold\n<!-- end -->\n\nafter\n"
    changed = filled(page)
    assert changed.startswith("before\n\n<!-- generated fields of status -->\n\n| field |")
    assert changed.endswith("<!-- end -->\n\nafter\n")
    assert "old" not in changed
    assert filled(changed) == changed


def test_a_part_of_no_known_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="poems"):
        filled("<!-- generated poems of spring -->\n<!-- end -->\n")
