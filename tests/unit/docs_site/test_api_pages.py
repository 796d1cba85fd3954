"""The pages about the clients name everything that the clients export."""

import re

import pytest

import notification_api.client
from k8s.docs_site.pages import FOLDER, ROOT
from k8s.docs_site.python_api import python_api

PYTHON = python_api("notification_api.client")
JAVASCRIPT = (FOLDER / "reference/javascript.md").read_text()
SOURCES = ROOT / "sdk/javascript/src"


@pytest.mark.parametrize("name", notification_api.client.__all__)
def test_every_name_of_the_python_client_has_a_section(name: str) -> None:
    assert f"\n### {name}\n" in f"\n{PYTHON}\n"


def test_a_method_has_its_signature_and_its_parameters() -> None:
    assert "\nasync def get_task(task_id: str) -> TaskStatus\n" in PYTHON
    assert "\n- `ttl_seconds`: the task expires unless it starts within this time" in PYTHON
    assert "\n- `retryable`: whether the same call may succeed later." in PYTHON


def test_a_signature_is_the_same_in_every_run() -> None:
    assert " at 0x" not in PYTHON


def exported_values() -> list[str]:
    index = (SOURCES / "index.ts").read_text()
    lists = re.findall(r"^export \{(.*?)\} from", index, re.DOTALL | re.MULTILINE)
    names = [name.strip() for each in lists for name in each.split(",")]
    return [name for name in names if name and not name.startswith("type ")]


@pytest.mark.parametrize("name", exported_values())
def test_every_value_of_the_javascript_package_is_on_its_page(name: str) -> None:
    assert f"`{name}" in JAVASCRIPT or f"## {name}\n" in JAVASCRIPT


def test_every_member_of_the_client_is_on_its_page() -> None:
    source = (SOURCES / "notification-api.ts").read_text()
    declared = source[source.index("export class NotificationApi") :]
    members = re.findall(r"^  (?:async |readonly )?(\w+)(?:<[^(]*>)?[(:]", declared, re.MULTILINE)
    missing = {name for name in members if name != "constructor" and f"`{name}" not in JAVASCRIPT}
    assert missing - {"stop"} == set()  # in one row with `start`
    assert "`stop()`" in JAVASCRIPT


def test_every_option_is_on_its_page() -> None:
    source = (SOURCES / "options.ts").read_text()
    interface = re.search(r"interface NotificationApiOptions \{(.*?)\n\}", source, re.DOTALL)
    assert interface is not None
    options = re.findall(r"^  (\w+)\??:", interface[1], re.MULTILINE)
    assert len(options) > 5
    assert [name for name in options if f"`{name}" not in JAVASCRIPT] == []


def test_every_error_code_is_on_its_page() -> None:
    source = (SOURCES / "api/errors.ts").read_text()
    codes = re.findall(r'^  \| "(\w+)"', source, re.MULTILINE)
    assert len(codes) > 5
    assert [code for code in codes if f"| `{code}` |" not in JAVASCRIPT] == []
