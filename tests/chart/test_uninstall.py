"""What a release says that its uninstall does to the stage's data, and what protects it."""

import re
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from k8s.operator.controller.deletion_policy import PRODUCTION_NAME, deletion_policy
from tests.support.helm_charts import GIVEN, STAGE_API, STAGE_CHART, named, overlaid, refusal, render

pytestmark = pytest.mark.helm


NOT_GIVEN: dict[str, dict[str, Any]] = {
    "queue": {"queue": {"url": "", "deadLetterUrl": ""}},
    "pool": {"userPool": {"id": "", "clientId": ""}},
    "client": {"userPool": {"clientId": ""}},
    "cache": {"momento": {"cacheName": ""}},
}
MADE = overlaid(overlaid(NOT_GIVEN["queue"], NOT_GIVEN["pool"]), NOT_GIVEN["cache"])
OWN = {
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
    """The part on an uninstall."""
    objects = render(overlaid(GIVEN, values), chart=chart, apis=apis)
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
        values = overlaid(values, NOT_GIVEN[str(part)])

    notes = uninstall_notes(chart, values)

    own, _, kept = notes.partition("these existing resources:")
    assert [part for part, text in OWN.items() if text in own] == [part for part in OWN if part in made]
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
def test_the_default_is_that_of_the_operator(chart: Path, name: str) -> None:
    notes = uninstall_notes(chart, overlaid(MADE, {"stageName": name}))

    default = deletion_policy(None, name)
    because = "the default, because stageName looks like production" if default == "Retain" else "the default"
    assert f"(deletionPolicy {default}, {because})" in notes


def test_the_rule_for_the_default_is_the_same_text_in_chart_and_operator() -> None:
    assert f'"{PRODUCTION_NAME}"' in (STAGE_CHART / "templates" / "_uninstall.tpl").read_text()


@pytest.mark.parametrize(("value", "spec"), [(True, {"deletionProtection": True}), (False, None), (None, None)])
def test_the_protection_of_the_pool_is_asked_for_in_the_stage(value: bool | None, spec: Any) -> None:
    values = overlaid(MADE, {"userPool": {"deletionProtection": value}})

    stage = named(render(values, apis=(STAGE_API,)), "Stage", "dev")

    assert stage["spec"].get("userPool") == spec


def test_the_protection_of_a_given_pool_is_not_the_charts_to_set() -> None:
    assert "an existing pool is never changed" in refusal({"userPool": {"deletionProtection": True}})


def test_a_protection_that_is_no_boolean_is_refused() -> None:
    assert "deletionProtection" in refusal(overlaid(MADE, {"userPool": {"deletionProtection": "yes"}}))
