"""The notes on what an uninstall deletes, and the settings that protect the data."""

import re
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from k8s.operator.api.stage import PRODUCTION_NAME, deletion_policy
from tests.support.helm_charts import EXISTING, STAGE_API, STAGE_CHART, merged_values, named, refusal, render

pytestmark = pytest.mark.helm


NOT_EXISTING: dict[str, dict[str, Any]] = {
    "queue": {"queue": {"url": "", "deadLetterUrl": ""}},
    "pool": {"userPool": {"id": "", "clientId": ""}},
    "client": {"userPool": {"clientId": ""}},
    "cache": {"momento": {"cacheName": ""}},
}
CREATED = merged_values(merged_values(NOT_EXISTING["queue"], NOT_EXISTING["pool"]), NOT_EXISTING["cache"])
CREATED_TEXTS = {
    "queue": "queues notification-api-dev-tasks and notification-api-dev-dlq, with the messages in them",
    "pool": "user pool notification-api-dev-UserPool and its client, with all users",
    "client": "client notification-api-dev-UserPoolClient of the existing user pool eu-central-1_AbCdEfGhI",
    "cache": "Momento cache notification-api-dev, with the notification history",
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes as an object, since `helm template` does not print notes."""
    copy = tmp_path_factory.mktemp("charts") / "notification-api"
    shutil.copytree(STAGE_CHART, copy)
    notes = (copy / "templates" / "NOTES.txt").read_text()
    (copy / "templates" / "_notes.tpl").write_text(f'{{{{- define "test.notes" }}}}\n{notes}\n{{{{- end }}}}')
    (copy / "templates" / "notes.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"
        'data: {notes: {{ include "test.notes" . | toJson }}}\n'
    )
    return copy


def uninstall_notes(chart: Path, values: dict[str, Any], apis: tuple[str, ...] = (STAGE_API,)) -> str:
    """The section of the notes about an uninstall."""
    objects = render(merged_values(EXISTING, values), chart=chart, apis=apis)
    notes = str(named(objects, "ConfigMap", "notes")["data"]["notes"])
    return re.split(r"\n\n", notes[notes.index("What `helm uninstall") :])[0]


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
@pytest.mark.parametrize("parts", list(product([True, False], ["pool", "client", None], [True, False])))
def test_the_notes_say_what_an_uninstall_deletes_and_keeps(
    chart: Path, parts: tuple[bool, str | None, bool], policy: str
) -> None:
    made = ["queue"] * parts[0] + [parts[1]] * bool(parts[1]) + ["cache"] * parts[2]
    values: dict[str, Any] = {"deletionPolicy": policy}
    for part in made:
        values = merged_values(values, NOT_EXISTING[str(part)])

    notes = uninstall_notes(chart, values)

    own, _, kept = notes.partition("these existing resources:")
    assert [part for part, text in CREATED_TEXTS.items() if text in own] == [
        part for part in CREATED_TEXTS if part in made
    ]
    given = {"queue": "notification-api-dev-tasks", "pool": "_AbCdEfGhI", "cache": "Momento cache notification-api-dev"}
    assert {part for part, text in given.items() if text in kept} == set(given) - set(made)
    assert ("It deletes (deletionPolicy Delete, as set)" in notes) == (bool(made) and policy == "Delete")
    assert ("It keeps (deletionPolicy Retain, as set)" in notes) == (bool(made) and policy == "Retain")
    assert ("It deletes none of it." in notes) == (not made)
    assert ("is protected against deletion" in notes) == (bool(made) and policy == "Delete")


def test_without_the_operator_an_uninstall_deletes_nothing(chart: Path) -> None:
    notes = uninstall_notes(chart, {}, apis=())

    assert "It deletes none of it." in notes
    assert "It keeps these existing resources:" in notes


@pytest.mark.parametrize("name", ["prod", "PROD2", "eu-prod", "production-1", "live", "dev", "pr-12", "product"])
def test_the_default_policy_is_that_of_the_operator(chart: Path, name: str) -> None:
    notes = uninstall_notes(chart, merged_values(CREATED, {"stageName": name}))

    default = deletion_policy(None, name)
    because = "the default, because stageName looks like production" if default == "Retain" else "the default"
    assert f"(deletionPolicy {default}, {because})" in notes


def test_the_rule_for_the_default_is_the_same_text_in_chart_and_operator() -> None:
    assert f'"{PRODUCTION_NAME}"' in (STAGE_CHART / "templates" / "_uninstall.tpl").read_text()


@pytest.mark.parametrize(("value", "spec"), [(True, {"deletionProtection": True}), (False, None), (None, None)])
def test_deletion_protection_is_set_in_the_stage(value: bool | None, spec: Any) -> None:
    values = merged_values(CREATED, {"userPool": {"deletionProtection": value}})

    stage = named(render(values, apis=(STAGE_API,)), "Stage", "dev")

    assert stage["spec"].get("userPool") == spec


def test_deletion_protection_of_an_existing_pool_is_refused() -> None:
    assert "an existing pool is never changed" in refusal({"userPool": {"deletionProtection": True}})


def test_deletion_protection_must_be_a_boolean() -> None:
    assert "deletionProtection" in refusal(merged_values(CREATED, {"userPool": {"deletionProtection": "yes"}}))
