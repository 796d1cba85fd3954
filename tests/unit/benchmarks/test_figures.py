"""Figures as a table and as JSON."""

import json

from benchmarks.support.figures import Figure, as_json, table

FIGURES = [
    Figure("make up to ready", 3.456, "s", "installed"),
    Figure("idle RSS of page", 136.3, "MB"),
    Figure("CPU of a request", None, "ms", "only on Linux"),
]


def test_each_figure_is_a_row_with_its_unit_and_note() -> None:
    header, *rows = table(FIGURES).splitlines()
    assert header.split() == ["figure", "measured", "how"]
    assert " ".join(rows[0].split()) == "make up to ready 3.46 s installed"
    assert rows[1].endswith("136 MB")
    assert "not measured" in rows[2]


def test_the_json_is_one_object_of_plain_values() -> None:
    assert json.loads(json.dumps(as_json(FIGURES)))["figures"][0] == {
        "name": "make up to ready",
        "value": 3.456,
        "unit": "s",
        "note": "installed",
    }
