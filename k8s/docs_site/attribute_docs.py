"""The text below an attribute of a class, which Python itself does not keep."""

import ast
import inspect
from itertools import pairwise


def attribute_docs(cls: type) -> dict[str, str]:
    """The texts by the name of their attribute, each on one line."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        attribute.target.id: " ".join(text.value.value.split())
        for attribute, text in pairwise(body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
