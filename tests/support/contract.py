"""The contract, docs/reference/openapi.yaml: its operations, and the check of an answer against it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from k8s.contract_files import OPENAPI, load, resolve

METHODS = ("get", "post")
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, eq=False)
class Operation:
    """A method of a path."""

    method: str
    path: str
    spec: Mapping[str, Any]

    @property
    def id(self) -> str:
        name: str = self.spec["operationId"]
        return name

    @property
    def responses(self) -> dict[int, Mapping[str, Any]]:
        return {int(status): resolve(response) for status, response in self.spec["responses"].items()}

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path) is not None

    def problem_types(self, status: int) -> list[str]:
        """The `type`s of the problems with this status."""
        content = self.responses[status]["content"][PROBLEM_JSON]
        narrowed: Mapping[str, Any] = content["schema"]["allOf"][1]["properties"]["type"]
        return [narrowed["const"]] if "const" in narrowed else list(narrowed["enum"])


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    for path, item in load(OPENAPI)["paths"].items():
        yield from (Operation(method.upper(), path, item[method]) for method in METHODS if method in item)


def operation_of(method: str, path: str) -> Operation | None:
    """The operation of a request; HEAD is answered like GET."""
    method = "GET" if method == "HEAD" else method
    return next((each for each in operations() if each.matches(method, path)), None)


def check_answer(method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Fail with an AssertionError where the answer is not as described, or has something that is not described."""
    operation = operation_of(method, target.partition("?")[0])
    where = f"{method} {target[:80]} answered {status}"
    assert "X-Request-Id" in headers, where
    if operation is None:
        assert status >= 400 or method == "OPTIONS", f"{where}: this route is not described"
        return
    assert status in operation.responses, f"{where}: this status is not described"
    response = operation.responses[status]
    content_type = headers["Content-Type"].partition(";")[0]
    assert content_type in response["content"], f"{where}: the content type {content_type} is not described"
    assert "Retry-After" not in headers or "Retry-After" in response["headers"], f"{where}: Retry-After"
    if method != "HEAD":
        errors = [
            error.message for error in _validator(operation, status, content_type).iter_errors(orjson.loads(body))
        ]
        assert errors == [], f"{where}: {errors}"


@cache
def _validator(operation: Operation, status: int, content_type: str) -> Draft202012Validator:
    return Draft202012Validator(strict(operation.responses[status]["content"][content_type]["schema"]))


def strict(schema: Mapping[str, Any], *, document: str = OPENAPI, is_closed: bool = True) -> dict[str, Any]:
    """The schema with its references resolved, in which objects have no property that is not described.

    :param document: the description that the schema is in.
    :param is_closed: false for a part of `allOf`, since another part may describe the property.
    """
    if "$ref" in schema:
        document = schema["$ref"].partition("#")[0] or document
        schema = resolve(schema, document)
    closed = {name: value for name, value in schema.items() if name not in {"description", "examples"}}
    for name in {"allOf", "oneOf"} & schema.keys():
        closed[name] = [strict(part, document=document, is_closed=False) for part in schema[name]]
    if "properties" in schema:
        closed["properties"] = {name: strict(value, document=document) for name, value in schema["properties"].items()}
    if "items" in schema:
        closed["items"] = strict(schema["items"], document=document)
    if is_closed and {"properties", "allOf"} & schema.keys() and not schema.get("additionalProperties"):
        closed["unevaluatedProperties"] = False
    return closed
