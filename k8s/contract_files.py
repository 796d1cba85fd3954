"""`python -m k8s.contract_files`: write the files that are generated from the API's descriptions (`make generate`).

- `services/token/openapi.json`, which the token service serves: `docs/reference/openapi.yaml` as JSON.
- `tests/contract/schemas.json`: the properties and examples of the schemas of what clients receive, for the tests of
  the clients. References between the two descriptions are resolved.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs/reference"
OPENAPI = "openapi.yaml"
ASYNCAPI = "asyncapi.yaml"
RECEIVED = (
    *("Token", "NotificationPage", "ReadMarker", "AcceptedTask", "TaskStatus", "TaskResult", "CancelRequest"),
    *("Problem", "FinalNotification"),
)
"""The schemas of openapi.yaml that clients parse."""


@cache
def load(name: str) -> dict[str, Any]:
    """Load one of the descriptions, once. It must not be changed."""
    document: dict[str, Any] = yaml.safe_load((REFERENCE / name).read_text())
    return document


def files() -> dict[Path, str]:
    """The content of each generated file."""
    return {
        ROOT / "services/token/openapi.json": _json(load(OPENAPI)),
        ROOT / "tests/contract/schemas.json": _json(schemas()),
    }


def schemas() -> dict[str, dict[str, Any]]:
    """The properties, the required ones and the examples of each schema, by its name."""
    api, messages = load(OPENAPI), load(ASYNCAPI)
    found = {name: _described(api["components"]["schemas"][name]) for name in RECEIVED}
    progress = messages["components"]["messages"]["progress"]
    found["ProgressNotification"] = _described(messages["components"]["schemas"]["ProgressNotification"])
    found["ProgressNotification"]["examples"] = [example["payload"] for example in progress["examples"]]
    contents = [response["content"]["application/problem+json"] for response in api["components"]["responses"].values()]
    found["Problem"]["examples"] = [content["example"] for content in contents if "example" in content]
    return found


def resolve(node: Mapping[str, Any], document: str = OPENAPI) -> Mapping[str, Any]:
    """Follow the reference of a node, if it is one.

    :param document: the description that the node is in.
    """
    while "$ref" in node:
        name, _, pointer = node["$ref"].partition("#")
        document = name or document
        node = load(document)
        for part in pointer.strip("/").split("/"):
            node = node[part]
    return node


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    parts = [resolve(part) for part in schema.get("allOf", [])]
    return {
        "properties": sorted({name for part in (*parts, schema) for name in part["properties"]}),
        "required": sorted(schema.get("required", [])),
        "examples": schema.get("examples", []),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
