"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table; line breaks within a cell become spaces."""
    return "\n".join([_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)])


def code(text: str) -> str:
    """`text` as code; nothing where it is empty."""
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """`text` without HTML: a placeholder such as <release> is to be read, not to be a tag. Code stays as it is."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def _line(cells: Row) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
