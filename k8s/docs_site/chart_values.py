"""The values of a chart, from the comments of its values.yaml and the types of its values.schema.json."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml  # type: ignore[import-untyped]

from k8s.chart_files import CHARTS
from k8s.docs_site.markdown import code, prose, table

_SECTION = re.compile(r"^# -{4} (.+?) -+$")


@dataclass(frozen=True, slots=True)
class _Value:
    path: tuple[str, ...]
    line: int
    default: str


def chart_values(chart: str) -> str:
    """Tables of the values, one for each section of the file."""
    text = (CHARTS / chart / "values.yaml").read_text()
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    lines = text.splitlines()
    values = list(_values(yaml.compose(text)))
    starts = [0, *(number for number, line in enumerate(lines) if _SECTION.match(line)), len(lines)]
    parts = [
        _section(lines[start:end], [_row(value, lines, schema) for value in values if start <= value.line < end])
        for start, end in pairwise(starts)
    ]
    return "\n\n".join(parts)


def _section(lines: list[str], rows: list[tuple[str, ...]]) -> str:
    heading = _SECTION.match(lines[0])
    shown = table(("value", "default", "type", "meaning"), rows)
    if heading is None:
        return shown
    introduction = " ".join(line.removeprefix("# ") for line in _comment(lines, 1))
    return "\n\n".join(part for part in (f"### {heading[1]}", prose(introduction), shown) if part)


def _comment(lines: list[str], start: int) -> list[str]:
    """The comment lines from `start`, up to the first that is none or that describes a value."""
    found = []
    for line in lines[start:]:
        if not line.startswith("# ") or line.startswith("# -- "):
            break
        found.append(line)
    return found


def _values(node: Any, path: tuple[str, ...] = ()) -> Iterator[_Value]:
    """Each value that is written on lines of its own; what is in braces is one value."""
    for key, value in node.value:
        here = (*path, key.value)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _values(value, here)
        else:
            yield _Value(here, key.start_mark.line, _default(value))


def _default(node: Any) -> str:
    loader = yaml.SafeLoader("")
    return json.dumps(loader.construct_object(node, deep=True), ensure_ascii=False)


def _row(value: _Value, lines: list[str], schema: dict[str, Any]) -> tuple[str, ...]:
    return code(".".join(value.path)), code(value.default), _type(schema, value.path), _meaning(lines, value.line)


def _meaning(lines: list[str], line: int) -> str:
    """The comment above a value that begins with `# --`."""
    found: list[str] = []
    for each in reversed(lines[:line]):
        text = each.strip()
        if not text.startswith("#"):
            return ""
        found.insert(0, text.removeprefix("#").strip())
        if text.startswith("# -- "):
            return prose(" ".join(found).removeprefix("-- "))
    return ""


def _type(schema: dict[str, Any], path: tuple[str, ...]) -> str:
    for name in path:
        schema = schema.get("properties", {}).get(name, {})
    if "enum" in schema:
        return ", ".join(code(json.dumps(each)) for each in schema["enum"])
    kinds = schema.get("type", "")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    bounds = [f"{schema[name]:,}" for name in ("minimum", "maximum") if name in schema]
    return f"{kind}, {' to '.join(bounds)}" if len(bounds) == 2 else kind
