"""The public names of a Python module, with their signatures and docstrings."""

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from k8s.docs_site.attribute_docs import attribute_docs
from k8s.docs_site.markdown import prose

_FIELD = re.compile(r"^:(param|ivar|raises|return)s? ?([^:]*):\s*(.*)$", re.DOTALL)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_QUALIFIED = re.compile(r"\b(?:[a-z_]+\.)+([A-Z]\w*)")
"""A class with its module. The page names the class alone."""


def python_api(module: str) -> str:
    """A section for each name of the module's `__all__`: first what is no error."""
    found = import_module(module)
    names = sorted(found.__all__, key=lambda name: (_is_error(getattr(found, name)), name.lower()))
    return "\n\n".join(part for name in names for part in _described(name, getattr(found, name)))


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _described(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}"
    if _is_error(value):
        yield f"```python\nclass {name}({value.__bases__[0].__name__})\n```"
    else:
        yield f"```python\n{_keyword(value)} {name}{_signature(value)}\n```"
    yield from _docs(value)
    if isinstance(value, type):
        yield from _members(value)


def _keyword(value: Any) -> str:
    if isinstance(value, type):
        return "class"
    return "async def" if inspect.iscoroutinefunction(value) else "def"


def _signature(value: Callable[..., Any]) -> str:
    signature = inspect.signature(value)
    parameters = [each for each in signature.parameters.values() if each.name not in {"self", "_"}]
    shown = str(signature.replace(parameters=parameters)).removesuffix(" -> None")
    return _QUALIFIED.sub(r"\1", _ADDRESS.sub("", shown)).replace("'", "")


def _docs(value: Any) -> Iterator[str]:
    """The docstring, its fields as a list."""
    text, *fields = re.split(r"\n(?=:(?:param|ivar|raises|return))", inspect.getdoc(value) or "")
    if text.strip():
        yield prose(text.strip())
    items = [_item(field) for field in fields]
    if items:
        yield "\n".join(items)


def _item(field: str) -> str:
    match = _FIELD.match(" ".join(field.split()))
    if match is None:
        return f"- {field}"
    kind, name, text = match.groups()
    labels = {"raises": "raises ", "return": "returns "}
    names = ", ".join(f"`{each.strip()}`" for each in name.split(",") if each.strip())
    return f"- {labels.get(kind, '')}{names}: {prose(text)}"


def _members(cls: type) -> Iterator[str]:
    """The attributes with a text, and the public methods."""
    attributes = attribute_docs(cls)
    if attributes:
        yield "\n".join(f"- `{name}`: {prose(text)}" for name, text in attributes.items())
    for name, member in vars(cls).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        yield f"#### {name}"
        yield f"```python\n{_keyword(member)} {name}{_signature(member)}\n```"
        yield from _docs(member)
