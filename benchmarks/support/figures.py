"""Figures with their goals, as a table and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `goal` is the most it should be; None where there is no goal or nothing was measured."""

    name: str
    value: float | None
    unit: str
    goal: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.goal is None or self.value is None:
            return ""
        return "met" if self.value <= self.goal else "MISSED"


def table(figures: list[Figure]) -> str:
    """Aligned columns: what, measured, goal, whether it is met, how it was measured."""
    rows = [("figure", "measured", "goal", "", "how")]
    for figure in figures:
        goal = f"≤ {_number(figure.goal)} {figure.unit}" if figure.goal is not None else ""
        measured = f"{_number(figure.value)} {figure.unit}" if figure.value is not None else "not measured"
        rows.append((figure.name, measured, goal, figure.verdict, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:<{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    )


def as_json(figures: list[Figure]) -> dict[str, Any]:
    return {"figures": [asdict(figure) | {"verdict": figure.verdict or None} for figure in figures]}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
