"""Measured figures, as a table and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `value` is None if it was not measured. `note` says how it was measured."""

    name: str
    value: float | None
    unit: str
    note: str = ""


def table(figures: list[Figure]) -> str:
    """Format aligned columns."""
    rows = [("figure", "measured", "how")]
    for figure in figures:
        measured = "not measured" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
        rows.append((figure.name, measured, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]}".rstrip() for row in rows)


def as_json(figures: list[Figure]) -> dict[str, Any]:
    """Return the figures as one JSON object."""
    return {"figures": [asdict(figure) for figure in figures]}


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
