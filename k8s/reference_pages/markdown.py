"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table; line breaks within a cell become spaces."""
    return "\n".join([_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)])


def code(text: str) -> str:
    """`text` as code; nothing where it is empty."""
    return f"`{text}`" if text else ""


def _line(cells: Row) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
