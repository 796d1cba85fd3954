"""Formats JSON log lines for a terminal. Other lines stay unchanged."""

import json
from typing import Any

HIDDEN_FIELDS = frozenset({"level", "logger", "message", "service", "stage", "time", "exception"})
"""Fields that are shown separately, or that are the same in every line of a process."""


def format_line(line: str) -> str:
    """Format as `INFO    request  method=GET route=/token status=200`, with the traceback of an exception below."""
    fields = _log_fields(line)
    if fields is None:
        return line
    rest = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if name not in HIDDEN_FIELDS)
    text = f"{fields['level']!s:<7} {_printable(str(fields['message']))}" + (f"  {rest}" if rest else "")
    traceback = str(fields.get("exception") or "").splitlines()
    return "\n".join([text, *map(_printable, traceback)])


def _log_fields(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and {"level", "message"} <= fields.keys() else None


def _printable(text: str) -> str:
    """Replace control characters: logged text may come from a stranger."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(_printable(text), ensure_ascii=False) if " " in text or not text.isprintable() else text
