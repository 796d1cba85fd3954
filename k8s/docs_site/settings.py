"""The settings of a service: environment variables with their defaults, bounds and meaning."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from environs import Env
from marshmallow.validate import OneOf

import k8s.operator.settings
import services.ingest.settings
import services.processor.settings
import services.token.settings
from k8s.chart_files import CHARTS
from k8s.docs_site.attribute_docs import attribute_docs
from k8s.docs_site.markdown import code, table
from k8s.recorded_settings import Variable, record
from services.common.setting_numbers import MOST, NumberRule

PROGRAMS: dict[str, tuple[Callable[[Env], Any], str, tuple[str, ...]]] = {
    "token": (services.token.settings.read_settings, "notification-api", ("token", "settings")),
    "ingest": (services.ingest.settings.read_settings, "notification-api", ("ingest", "settings")),
    "processor": (services.processor.settings.read_settings, "notification-api", ("processor", "settings")),
    "operator": (k8s.operator.settings.read_settings, "notification-operator", ("settings",)),
}
"""For each program, how it reads its settings, and the chart and value that may set them."""


def settings(program: str) -> str:
    """The table of a program, required variables first."""
    read, chart, value = PROGRAMS[program]
    recorded = record(read)
    described = dict(_described(recorded.defaults))
    free = _free_in(chart, value)
    rows = [
        (
            code(name),
            "required" if variable.required else _shown(_field_of(name, described)[0]),
            _accepted(variable),
            code(".".join(value)) if name in free else "the chart",
            _field_of(name, described)[1],
        )
        for name, variable in sorted(recorded.variables.items(), key=lambda each: (not each[1].required, each[0]))
    ]
    return table(("variable", "default", "values", "set by", "meaning"), rows)


def _described(group: Any) -> Iterator[tuple[str, tuple[object, str]]]:
    """Each field of the settings and of their groups, with its default and meaning."""
    docs = attribute_docs(type(group))
    for field in fields(group):
        value = getattr(group, field.name)
        if is_dataclass(value):
            yield from _described(value)
        else:
            yield field.name, (value, docs.get(field.name, ""))


def _field_of(variable: str, described: dict[str, tuple[object, str]]) -> tuple[object, str]:
    """Default and meaning of a variable: its name is that of the field, sometimes with a word in front.

    :raises KeyError: when there is no such field.
    """
    name = variable.lower()
    while name not in described:
        _, found, name = name.partition("_")
        if not found:
            raise KeyError(variable)
    return described[name]


def _free_in(chart: str, value: tuple[str, ...]) -> dict[str, object]:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    for name in value:
        schema = schema["properties"][name]
    return dict(schema["properties"])


def _accepted(variable: Variable) -> str:
    if isinstance(variable.rule, OneOf):
        return ", ".join(code(str(choice)) for choice in variable.rule.choices)
    if not isinstance(variable.rule, NumberRule):
        return ""
    lower = f"{'above ' if variable.rule.above_least else ''}{variable.rule.least:,}".removesuffix(".0")
    return f"from {lower}" if variable.rule.most == MOST else f"{lower} to {variable.rule.most:,}"


def _shown(value: object) -> str:
    if value is None or value == frozenset() or value == ():
        return ""
    return code(f"{value:g}" if isinstance(value, float) and value < 100_000 else str(value))
