"""Figures beside their goals."""

import json

from benchmarks.support.figures import Figure, as_json, table

FIGURES = [
    Figure("make up to ready", 3.456, "s", 5.0, "installed"),
    Figure("idle RSS of token", 93.2, "MB", 90),
    Figure("idle RSS of page", 36.3, "MB"),
    Figure("CPU of a request", None, "ms", 3.0, "needs /proc"),
]


def test_each_figure_stands_beside_its_goal() -> None:
    header, *rows = table(FIGURES).splitlines()
    assert header.split() == ["figure", "measured", "goal", "how"]
    assert " ".join(rows[0].split()) == "make up to ready 3.46 s ≤ 5 s met installed"
    assert rows[1].endswith("93.2 MB  ≤ 90 MB  MISSED")
    assert rows[2].endswith("36.3 MB")
    assert "not measured" in rows[3]


def test_what_is_exactly_at_its_goal_meets_it() -> None:
    assert Figure("f", 5.0, "s", 5.0).verdict == "met"
    assert Figure("f", 5.01, "s", 5.0).verdict == "MISSED"


def test_what_was_not_measured_has_no_verdict() -> None:
    assert [figure["verdict"] for figure in as_json(FIGURES)["figures"]] == ["met", "MISSED", None, None]


def test_the_json_is_one_object_of_plain_values() -> None:
    assert json.loads(json.dumps(as_json(FIGURES)))["figures"][0] == {
        "name": "make up to ready",
        "value": 3.456,
        "unit": "s",
        "goal": 5.0,
        "note": "installed",
        "verdict": "met",
    }
