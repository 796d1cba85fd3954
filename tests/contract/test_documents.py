"""The descriptions are valid, their examples match their schemas, and the generated files are current."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate

from k8s.contract_files import ASYNCAPI, OPENAPI, REFERENCE, ROOT, files, load, resolve, schemas
from services.common.messages.notification import MAX_BYTES
from services.common.version import VERSION
from tests.support.contract import PROBLEM_JSON, operations, strict
from tests.support.requirements import REDOCLY


@pytest.mark.parametrize(("path", "content"), list(files().items()), ids=lambda value: getattr(value, "name", ""))
def test_the_generated_files_are_current(path: Path, content: str) -> None:
    assert path.read_text() == content, "make generate"


def test_the_openapi_document_is_valid() -> None:
    validate(load(OPENAPI))


@pytest.mark.redocly
@pytest.mark.slow
def test_redocly_finds_no_fault_in_either_document(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "REDOCLY_TELEMETRY": "off"}
    documents = [str(REFERENCE / name) for name in (OPENAPI, ASYNCAPI)]
    command = [str(REDOCLY), "lint", "--format=json", *documents]
    linted = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert '"errors": 0,\n    "warnings": 0' in linted.stdout, linted.stdout + linted.stderr


@pytest.mark.parametrize("name", [OPENAPI, ASYNCAPI])
def test_the_documents_have_the_version_of_the_services(name: str) -> None:
    assert load(name)["info"]["version"] == VERSION


def errors_of(value: Any, schema: Mapping[str, Any], document: str = OPENAPI) -> list[str]:
    return [error.message for error in Draft202012Validator(strict(schema, document=document)).iter_errors(value)]


def schema_examples() -> Iterator[Any]:
    for name, schema in load(OPENAPI)["components"]["schemas"].items():
        for number, example in enumerate(schema.get("examples", [])):
            yield pytest.param(schema, example, id=f"{name}-{number}")


@pytest.mark.parametrize(("schema", "example"), list(schema_examples()))
def test_the_examples_of_a_schema_are_valid(schema: Mapping[str, Any], example: Any) -> None:
    assert errors_of(example, schema) == []


def problem_examples() -> Iterator[Any]:
    for operation in operations():
        for status, response in operation.responses.items():
            content = response["content"].get(PROBLEM_JSON, {})
            named = content.get("examples", {"": {"value": content["example"]}} if "example" in content else {})
            for name, example in named.items():
                yield pytest.param(status, content["schema"], example["value"], id=f"{operation.id}-{status}-{name}")


@pytest.mark.parametrize(("status", "schema", "example"), list(problem_examples()))
def test_the_examples_of_a_problem_are_valid(status: int, schema: Mapping[str, Any], example: Any) -> None:
    assert errors_of(example, schema) == []
    assert example["status"] == status


def message_examples() -> Iterator[Any]:
    for name, message in load(ASYNCAPI)["components"]["messages"].items():
        for example in message["examples"]:
            yield pytest.param(message, example, id=f"{name}-{example['name']}")


@pytest.mark.parametrize(("message", "example"), list(message_examples()))
def test_the_examples_of_a_message_are_valid(message: Mapping[str, Any], example: Mapping[str, Any]) -> None:
    assert errors_of(example["payload"], message["payload"], ASYNCAPI) == []
    if "headers" in message:
        assert errors_of(example["headers"], message["headers"], ASYNCAPI) == []


def test_the_limit_of_a_message_is_described() -> None:
    assert f"at most {MAX_BYTES:,} bytes" in load(ASYNCAPI)["channels"]["userTopic"]["description"]


def test_every_message_is_part_of_an_operation() -> None:
    document = load(ASYNCAPI)
    sent = {
        message["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        for message in operation["messages"]
    }
    assert sent == set(document["components"]["messages"])


def test_a_property_that_is_not_described_is_found() -> None:
    schema = load(OPENAPI)["components"]["schemas"]["NotificationPage"]
    page = schema["examples"][0]
    assert errors_of({**page, "more": 1}, schema)
    assert errors_of({**page, "notifications": [{**page["notifications"][0], "more": 1}]}, schema)


OF_OTHER_STATUSES = {
    ("FinalNotification", "nextAttemptAt"),
    *(("ProgressNotification", name) for name in ("data", "truncated", "title", "error", "reason")),
}
"""Properties of `TaskFacts` that these notifications do not have."""


@pytest.mark.parametrize("name", schemas())
def test_every_property_that_clients_receive_has_an_example(name: str) -> None:
    """The clients' tests read the examples, so that a new property needs a place in every client."""
    schema = schemas()[name]
    shown = {property_name for example in schema["examples"] for property_name in example}
    assert {each for each in schema["properties"] if (name, each) not in OF_OTHER_STATUSES} == shown


def test_references_lead_from_one_document_to_the_other() -> None:
    assert resolve({"$ref": "openapi.yaml#/components/schemas/TaskId"}, ASYNCAPI)["type"] == "string"
