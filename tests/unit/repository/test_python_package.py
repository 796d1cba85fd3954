"""The Python package of the repository."""

import re
import tomllib
from typing import Any

from packaging.requirements import Requirement

from local.plan import ROOT


def project(folder: str) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return described


def test_its_version_and_its_pythons_are_those_of_the_repository() -> None:
    package, repository = project("sdk/python"), project("")
    assert package["version"] == repository["version"]
    assert package["requires-python"] == repository["requires-python"]


def test_the_image_has_what_the_client_of_the_smoke_test_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = {Requirement(line).name for line in re.findall(r"^\S+==\S+", lock, re.MULTILINE)}
    needed = {Requirement(each).name for each in project("sdk/python")["optional-dependencies"]["client"]}
    assert needed <= locked


def test_handlers_need_no_dependency() -> None:
    assert project("sdk/python")["dependencies"] == []
