"""The fields of a Stage, from the schema of its definition."""

from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from k8s.chart_files import CHARTS
from k8s.docs_site.markdown import code, table

_DEFINITION = CHARTS / "notification-operator/crds/stages.yaml"


def stage_fields(part: str) -> str:
    """The table of `spec` or `status`, and the sentences with which the API server refuses a change."""
    (version,) = yaml.safe_load(_DEFINITION.read_text())["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"][part]
    refused = [f"- {rule['message']}" for rule in schema.get("x-kubernetes-validations", ())]
    shown = table(("field", "type", "default", "meaning"), _rows(schema))
    return "\n\n".join([shown, *(["The API server refuses:", "\n".join(refused)] if refused else [])])


def _rows(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = (*path, name)
        default = "required" if name in required else code(_default(field))
        yield code(".".join(here)), _type(field), default, field.get("description", "")
        yield from _rows(field.get("items", field), here)


def _default(field: dict[str, Any]) -> str:
    """An object's default is empty where its fields have their own."""
    default = field.get("default")
    return "" if default is None or default == {} else str(default)


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(map(code, field["enum"]))
    if "minimum" in field and "maximum" in field:
        return f"{field['type']}, {field['minimum']:,} to {field['maximum']:,}"
    return str(field.get("type", ""))
